-- renew: the holder of the token extends its lease, forward only.
-- KEYS epoch job lease actor
-- ARGV epoch incarnation id attempt
-- USE epoch now token
-- RETURNS NO_EPOCH | UNKNOWN | STALE | OK
-- BOUND 1 element
local code, f = fence()
if not f then
  return { code }
end
if f[1] ~= 'started' then
  return { 'STALE' }
end
redis.call('ZADD', k_lease, 'GT', now, a_id)
if redis.call('HGET', k_actor, 'incarnation') == a_incarnation then
  redis.call('HSET', k_actor, 'seen_ms', now)
end
return { 'OK' }
