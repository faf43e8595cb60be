-- adopt: looks at a page of a queue for jobs pushed by others, and hands over.
-- KEYS epoch facts ended dead queue idle lease types
-- ARGV epoch type offset count
-- USE epoch now stamp fact record opts type queue need end ready start serve
-- RETURNS NO_EPOCH | OK length handed id...
-- BOUND count (250) ids, 100 hand-overs, 100 spent ids
local length = redis.call('LLEN', k_queue)
local answer = { 'OK', length, 0 }
for _, id in ipairs(redis.call('LRANGE', k_queue, a_offset, a_offset + a_count - 1)) do
  local j = read(id)
  if j.script and not j.sequence and not j.ended and j.holder == '' then
    if j.ready == '' then -- first sight: from now on its wait is known
      redis.call('HSET', job_key(id), 'v', '1', 'type', a_type, 'queued_ms', now, 'ready_ms', now)
    end
    answer[#answer + 1] = id
  end
end
if length > 0 then
  redis.call('SADD', k_types, a_type)
  answer[3] = #rare.serve(100)
  rare.serve_others()
end
return answer
