-- finish: the holder of the token ends its job and takes the next.
-- KEYS epoch facts ended dead queue idle lease actor held wake job groups
-- ARGV prefix epoch type lease keep name incarnation id attempt status output error reason exit_code next
-- USE epoch now fact record end start serve take
-- RETURNS NO_EPOCH | UNKNOWN | STALE | OK UNREGISTERED/NOT_WANTED/CLOSED/IDLE/AGAIN | OK JOB held id script env timeout caller context attempt
-- BOUND as claim
local j = read(a_id)
if not j.known then
  return { 'UNKNOWN' }
end
if j.holder ~= a_incarnation or j.epoch ~= a_epoch or j.attempt ~= tonumber(a_attempt) then
  return { 'STALE' }
end
local first = j.status == 'started'
if first then
  end_job(a_id, j, 'ended', a_status, a_output, a_error, a_reason, a_exit_code)
  redis.call('LREM', k_held, 1, a_id)
  redis.call('ZREM', k_lease, a_id)
  redis.call('HDEL', k_groups, a_incarnation)
end
local a = redis.call('HMGET', k_actor, 'incarnation', 'gate')
local got
if a[1] ~= a_incarnation then
  got = { 'UNREGISTERED' }
elseif a_next ~= '1' then
  got = { 'NOT_WANTED' }
else
  got = take(a[2])
end
if first and a[1] == a_incarnation and a[2] ~= 'open' and redis.call('LLEN', k_held) == 0 then
  fact('drained', 'type', a_type, 'actor', a_name, 'incarnation', a_incarnation)
end
serve(100)
table.insert(got, 1, 'OK')
return got
