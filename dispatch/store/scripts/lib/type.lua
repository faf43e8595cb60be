-- A script works for one type, but the end of a job may concern jobs of others: f runs as if the script
-- had been called for type t.
local levels -- whether the type has jobs of other levels than 0; nil: not asked yet
local touched = {} -- types, not the caller's, that have something new in their queue

-- RARE
function rare.for_type(t, f, ...)
  if not t or t == '' or t == a_type then
    return f(...)
  end
  local was_type, was_queue, was_idle, was_lease, was_levels = a_type, k_queue, k_idle, k_lease, levels
  a_type, levels = t, nil
  k_queue, k_idle, k_lease = c_prefix .. ':q:work:type:' .. t, c_prefix .. ':idle:' .. t, c_prefix .. ':lease:' .. t
  touched[t] = true
  local answer = f(...)
  a_type, k_queue, k_idle, k_lease, levels = was_type, was_queue, was_idle, was_lease, was_levels
  return answer
end
