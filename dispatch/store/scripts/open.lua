-- open: an actor's intake opens again, and a ring makes it claim.
-- KEYS epoch actor wake
-- ARGV epoch
-- USE epoch ring
-- RETURNS NO_EPOCH | UNREGISTERED | OK held incarnation
-- BOUND 1 element
local a = redis.call('HMGET', k_actor, 'incarnation', 'gate')
if not a[1] then
  return { 'UNREGISTERED' }
end
if a[2] ~= 'open' then
  redis.call('HSET', k_actor, 'gate', 'open')
  ring()
end
return { 'OK', redis.call('LLEN', c_prefix .. ':held:' .. a[1]), a[1] }
