-- group: the process group of a job's script, before its first instruction.
-- KEYS epoch job groups
-- ARGV prefix epoch incarnation id attempt pgid start
-- USE epoch record
-- RETURNS NO_EPOCH | UNKNOWN | STALE | OK
-- BOUND 1 element
local j = read(a_id)
if not j.known then
  return { 'UNKNOWN' }
end
if j.status ~= 'started' or j.holder ~= a_incarnation or j.epoch ~= a_epoch or j.attempt ~= tonumber(a_attempt) then
  return { 'STALE' }
end
redis.call('HSET', k_groups, a_incarnation, a_pgid .. ' ' .. a_start .. ' ' .. a_id .. ' ' .. a_attempt)
return { 'OK' }
