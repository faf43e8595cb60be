-- depths: the state of each type, at one moment.
-- KEYS epoch
-- ARGV epoch
-- USE epoch now
-- RETURNS NO_EPOCH | OK {ready delayed due in_flight idle oldest_ms}...
-- BOUND 200 types
-- More KEYS: queue delayed lease idle of each type.
local answer = { 'OK' }
for i = 2, #KEYS, 4 do
  local oldest = 0
  local id = redis.call('LINDEX', KEYS[i], -1)
  if id then
    local ready = redis.pcall('HGET', c_prefix .. ':job:' .. id, 'ready_ms')
    if type(ready) == 'string' and tonumber(ready) then
      oldest = math.max(0, now - ready)
    end
  end
  local all = redis.call('ZCARD', KEYS[i + 1])
  local due = redis.call('ZCOUNT', KEYS[i + 1], '-inf', now)
  answer[#answer + 1] = { redis.call('LLEN', KEYS[i]), all - due, due, redis.call('ZCARD', KEYS[i + 2]),
    redis.call('ZCARD', KEYS[i + 3]), oldest }
end
return answer
