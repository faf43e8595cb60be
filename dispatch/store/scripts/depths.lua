-- depths: the state of each type, at one moment.
-- KEYS epoch
-- ARGV epoch
-- USE epoch now
-- RETURNS NO_EPOCH | OK {ready delayed due in_flight idle oldest_ms}...
-- BOUND 200 types, 10,000 incarnations each
-- More KEYS: queue delayed lease idle prio of each type.
local answer = { 'OK' }
for i = 2, #KEYS, 5 do
  local oldest = 0
  local id = redis.call('LINDEX', KEYS[i], -1)
  if id then
    local ready = redis.pcall('HGET', c_prefix .. ':job:' .. id, 'ready_ms')
    if type(ready) == 'string' and tonumber(ready) then
      oldest = math.max(0, now - ready)
    end
  end
  local top = redis.call('ZRANGE', KEYS[i + 4], 0, 0)[1]
  if top then -- of the level that is served next
    local ready = redis.pcall('HGET', c_prefix .. ':job:' .. string.match(top, '^%d* (.+)$'), 'ready_ms')
    if type(ready) == 'string' and tonumber(ready) then
      oldest = math.max(oldest, now - ready)
    end
  end
  local all = redis.call('ZCARD', KEYS[i + 1])
  local due = redis.call('ZCOUNT', KEYS[i + 1], '-inf', now)
  local in_flight = 0
  for _, inc in ipairs(redis.call('ZRANGE', KEYS[i + 2], 0, 9999)) do
    in_flight = in_flight + redis.call('LLEN', c_prefix .. ':held:' .. inc)
  end
  answer[#answer + 1] = { redis.call('LLEN', KEYS[i]) + redis.call('ZCARD', KEYS[i + 4]), all - due, due, in_flight,
    redis.call('ZCARD', KEYS[i + 3]), oldest }
end
return answer
