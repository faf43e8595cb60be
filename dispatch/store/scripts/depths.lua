-- depths: the state of each type, at one moment.
-- FIXED incarnations
-- KEYS epoch
-- ARGV epoch
-- USE epoch now
-- RETURNS NO_EPOCH | OK {ready delayed due in_flight idle oldest_ms alone odd}...
-- BOUND 200 types, 10,000 incarnations each, 1,000 jobs in the hand of one that serves several types
-- More KEYS: queue delayed lease idle prio alone of each type.
-- odd is 1 if one of them is of another kind: it counts as empty, and keeps nobody from what is known of the other types.
local answer = { 'OK' }
local odd = 0
local function ask(...)
  local v = redis.pcall(...)
  if type(v) == 'table' and v.err then
    odd = 1
    return nil
  end
  return v
end

local mixed = {} -- in the hands of actors of several types, by type

-- What is in the hands of a type's actors. Of one that serves several, its own type has the lease; its jobs are told apart by
-- their records.
local function in_hands(lease)
  local n = 0
  local incs = ask('ZRANGE', lease, 0, 9999) or {}
  for at = 1, #incs, 1000 do
    local some = { unpack(incs, at, math.min(at + 999, #incs)) }
    for i, reg in ipairs(redis.call('HMGET', k_incarnations, unpack(some))) do
      local held = c_prefix .. ':held:' .. some[i]
      if reg and string.find(reg, ':', 1, true) then
        for _, job in ipairs(ask('LRANGE', held, 0, 999) or {}) do
          local t = ask('HGET', c_prefix .. ':job:' .. job, 'type') or ''
          mixed[t] = (mixed[t] or 0) + 1
        end
      else
        n = n + (ask('LLEN', held) or 0)
      end
    end
  end
  return n
end

for i = 2, #KEYS, 6 do
  local oldest = 0
  odd = 0
  local id = ask('LINDEX', KEYS[i], -1)
  if id then
    local ready = redis.pcall('HGET', c_prefix .. ':job:' .. id, 'ready_ms')
    if type(ready) == 'string' and tonumber(ready) then
      oldest = math.max(0, now - ready)
    end
  end
  local top = (ask('ZRANGE', KEYS[i + 4], 0, 0) or {})[1]
  if top then -- of the level that is served next
    local ready = redis.pcall('HGET', c_prefix .. ':job:' .. string.match(top, '^%d* (.+)$'), 'ready_ms')
    if type(ready) == 'string' and tonumber(ready) then
      oldest = math.max(oldest, now - ready)
    end
  end
  local lone = ask('LLEN', KEYS[i + 5]) or 0
  if lone > 0 then
    local ready = redis.pcall('HGET', c_prefix .. ':job:' .. redis.call('LINDEX', KEYS[i + 5], -1), 'ready_ms')
    if type(ready) == 'string' and tonumber(ready) then
      oldest = math.max(oldest, now - ready)
    end
  end
  local all = ask('ZCARD', KEYS[i + 1]) or 0
  local due = ask('ZCOUNT', KEYS[i + 1], '-inf', now) or 0
  answer[#answer + 1] = { (ask('LLEN', KEYS[i]) or 0) + (ask('ZCARD', KEYS[i + 4]) or 0) + lone, all - due, due, in_hands(KEYS[i + 2]),
    ask('ZCARD', KEYS[i + 3]) or 0, oldest, lone, odd }
end
for i = 2, #answer do
  local t = string.match(KEYS[i * 6 - 10], ':q:work:type:(.+)$')
  answer[i][4] = answer[i][4] + (mixed[t] or 0)
end
return answer
