-- restore: the record of a dead job comes back from the bucket, unless there is one.
-- KEYS epoch dead job
-- ARGV epoch type id at again
-- USE epoch now stamp record order revive
-- RETURNS NO_EPOCH | SAME | OK
-- BOUND 1 record
-- More ARGV: field, value, ... of the record.
-- again: sequence of the message of the log that revives it, 0 for none. With one it is dead no more: it waits in no list until accept has read
-- that message (asserted; awaits: earlier ones do not count), and who needs it waits for it. A record of an earlier end is revived likewise.
local there = redis.call('EXISTS', k_job) == 1
if there then
  local j = read(a_id)
  local asserted = redis.call('HEXISTS', k_job, 'asserted') == 1
  if asserted and a_again ~= '0' then
    redis.call('HSET', k_job, 'awaits', a_again)
  end
  if not j.ended or not before(j.sequence or '0', a_again) or asserted and j.epoch == a_epoch then -- an earlier rebuild's is of an old copy
    return { 'SAME' }
  end
else
  local set = {}
  for i = 6, #ARGV do
    set[#set + 1] = ARGV[i]
  end
  redis.call('HSET', k_job, unpack(set))
end
if a_again == '0' then
  redis.call('HDEL', k_job, 'asserted', 'awaits') -- of a rebuild before its end
  redis.call('EXPIRE', k_job, c_keep)
  redis.call('ZADD', k_dead, a_at, a_id)
else
  rare.revive(a_id, read(a_id), '0')
  redis.call('HSET', k_job, 'asserted', 'failed', 'awaits', a_again)
end
return { 'OK' }
