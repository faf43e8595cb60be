-- pong: an actor answers a ping.
-- KEYS epoch facts actor
-- ARGV epoch type name incarnation nonce
-- USE epoch now fact
-- RETURNS NO_EPOCH | UNREGISTERED | OK
-- BOUND 1 element
-- The same nonce again is one fact.
local a = redis.call('HMGET', k_actor, 'incarnation', 'pong')
if a[1] ~= a_incarnation then
  return { 'UNREGISTERED' }
end
redis.call('HSET', k_actor, 'seen_ms', now, 'pong', a_nonce)
if a[2] ~= a_nonce then
  rare.fact('pong', '', '0', a_name, a_incarnation, '0', 'nonce', a_nonce)
end
return { 'OK' }
