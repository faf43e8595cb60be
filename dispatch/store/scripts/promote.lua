-- promote: due jobs of a type go to its queue.
-- KEYS epoch facts ended dead queue idle lease delayed
-- ARGV epoch type limit
-- USE epoch now stamp fact record end ready start serve
-- RETURNS NO_EPOCH | OK moved more ready
-- BOUND limit (200) jobs, 100 hand-overs, 100 spent ids
local due = redis.call('ZRANGEBYSCORE', k_delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, a_limit)
local moved = 0
for i = 1, #due, 2 do
  local id = due[i]
  local j = read(id)
  if not j.script then
    bury_unusable(id, j)
  elseif not j.ended and j.holder == '' then
    redis.call('LPUSH', k_queue, id)
    moved = moved + 1
  end
  redis.call('ZREM', k_delayed, id)
end
serve(100)
return { 'OK', moved, redis.call('ZCOUNT', k_delayed, '-inf', now), redis.call('LLEN', k_queue) }
