-- close: an actor's intake shuts, by name. From the answer on no script gives it a job.
-- KEYS epoch actor
-- ARGV epoch name
-- USE epoch
-- RETURNS NO_EPOCH | UNREGISTERED | OK held incarnation
-- BOUND 1 element
local a = redis.call('HMGET', k_actor, 'incarnation', 'type')
if not a[1] then
  return { 'UNREGISTERED' }
end
redis.call('HSET', k_actor, 'gate', 'closed')
redis.call('ZREM', c_prefix .. ':idle:' .. (a[2] or ''), a_name .. ' ' .. a[1]) -- of further types it goes when its turn comes
return { 'OK', redis.call('LLEN', c_prefix .. ':held:' .. a[1]), a[1] }
