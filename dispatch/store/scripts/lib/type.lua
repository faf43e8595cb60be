-- A script works for one type, but the end of a job may concern jobs of others: f runs as if the script
-- had been called for type t.
local levels, suspects -- whether the type has jobs of other levels than 0, or such as run alone; nil: not asked yet
local touched = {} -- types, not the caller's, that have something new in their queue

-- An actor may serve several types. Its hash has them in the field types, "<type>:<weight> ..." with its own first; without
-- that field it serves its own alone.
local many = nil -- the caller's field types

-- RARE
function rare.for_type(t, f, ...)
  if t and t ~= '' and t ~= a_type then
    touched[t] = true
  end
  return rare.as_type(t, f, ...)
end

-- The same where f puts nothing into a queue.
function rare.as_type(t, f, ...)
  if not t or t == '' or t == a_type then
    return f(...)
  end
  local was_type, was_queue, was_idle, was_lease, was_levels, was_suspects = a_type, k_queue, k_idle, k_lease, levels, suspects
  a_type, levels = t, nil
  k_queue, k_idle, k_lease = c_prefix .. ':q:work:type:' .. t, c_prefix .. ':idle:' .. t, c_prefix .. ':lease:' .. t
  local one, two = f(...) -- no f has more to say
  a_type, k_queue, k_idle, k_lease, levels, suspects = was_type, was_queue, was_idle, was_lease, was_levels, was_suspects
  return one, two
end

-- The actor is put among the idle of each of its types, or is taken out.
function rare.stand(types, member, among)
  for t in string.gmatch(types, '(%S+):%d+') do
    local idle = c_prefix .. ':idle:' .. t
    if among then
      redis.call('ZADD', idle, 'NX', now, member)
    else
      redis.call('ZREM', idle, member)
    end
  end
end

function rare.serves(types)
  return types and string.find(' ' .. types, ' ' .. a_type .. ':', 1, true)
end
