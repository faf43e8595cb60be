-- renew: the holder of the token extends its lease, forward only.
-- KEYS epoch job lease actor
-- ARGV prefix epoch lease incarnation id attempt
-- USE epoch now record
-- RETURNS NO_EPOCH | UNKNOWN | STALE | OK
-- BOUND 1 element
local j = read(a_id)
if not j.known then
  return { 'UNKNOWN' }
end
if j.status ~= 'started' or j.holder ~= a_incarnation or j.epoch ~= a_epoch or j.attempt ~= tonumber(a_attempt) then
  return { 'STALE' }
end
redis.call('ZADD', k_lease, 'GT', string.format('%.0f', now + a_lease), a_id)
if redis.call('HGET', k_actor, 'incarnation') == a_incarnation then
  redis.call('HSET', k_actor, 'seen_ms', now_text)
end
return { 'OK' }
