-- restore: the record of a dead job comes back from the bucket, unless there is one.
-- KEYS epoch dead job
-- ARGV epoch id at
-- USE epoch
-- RETURNS NO_EPOCH | SAME | OK
-- BOUND 1 record
-- More ARGV: field, value, ... of the record.
if redis.call('EXISTS', k_job) == 1 then
  return { 'SAME' }
end
local set = {}
for i = 4, #ARGV do
  set[#set + 1] = ARGV[i]
end
redis.call('HSET', k_job, unpack(set))
redis.call('EXPIRE', k_job, c_keep)
redis.call('ZADD', k_dead, a_at, a_id)
return { 'OK' }
