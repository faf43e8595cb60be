-- ping: a question to one actor, by its wake list.
-- KEYS epoch actor wake
-- ARGV epoch nonce
-- USE epoch
-- RETURNS NO_EPOCH | UNREGISTERED | FULL | OK
-- BOUND 1 element
-- The same nonce again is one message.
local a = redis.call('HMGET', k_actor, 'incarnation', 'ping')
if not a[1] then
  return { 'UNREGISTERED' }
end
if a[2] == a_nonce then
  return { 'OK' }
end
if redis.call('LLEN', k_wake) >= 100 then
  return { 'FULL' } -- a hung actor is not buried in pings
end
redis.call('HSET', k_actor, 'ping', a_nonce)
redis.call('RPUSH', k_wake, cjson.encode({ v = 1, kind = 'ping', nonce = a_nonce }))
return { 'OK' }
