-- group: the process group of a job's script, before its first instruction.
-- KEYS epoch job groups
-- ARGV epoch incarnation id attempt pgid start
-- USE epoch fence
-- RETURNS NO_EPOCH | UNKNOWN | STALE | CANCELLED | OK
-- BOUND 1 element
local code, status = fence(k_job, a_epoch .. ' ' .. a_attempt .. ' ' .. a_incarnation .. ' ')
if code ~= 'OK' then
  return { code }
end
if status ~= 'started' then
  return { 'STALE' }
end
if redis.call('HEXISTS', k_job, 'cancel') == 1 then
  return { 'CANCELLED' }
end
redis.call('HSET', k_groups, a_incarnation .. ' ' .. a_id, a_pgid .. ' ' .. a_start .. ' ' .. a_attempt)
return { 'OK' }
