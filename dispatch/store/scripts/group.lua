-- group: the process group of a job's script, before its first instruction.
-- KEYS epoch job groups
-- ARGV epoch incarnation id attempt pgid start
-- USE epoch token
-- RETURNS NO_EPOCH | UNKNOWN | STALE | OK
-- BOUND 1 element
local code, f = fence()
if not f then
  return { code }
end
if f[1] ~= 'started' then
  return { 'STALE' }
end
redis.call('HSET', k_groups, a_incarnation, a_pgid .. ' ' .. a_start .. ' ' .. a_id .. ' ' .. a_attempt)
return { 'OK' }
