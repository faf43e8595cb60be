-- finish: the holder of the token ends its job and takes the next.
-- KEYS epoch facts ended dead queue idle lease actor held wake job groups
-- ARGV epoch type name incarnation id attempt status output error reason exit_code next
-- USE epoch now stamp fact record token end start serve take
-- RETURNS NO_EPOCH | UNKNOWN | STALE | OK UNREGISTERED/NOT_WANTED/CLOSED/IDLE/AGAIN | OK JOB held id script env timeout caller context attempt
-- BOUND as claim
local code, f = fence()
if not f then
  return { code }
end
local first = f[1] == 'started'
if first then
  end_job({ id = a_id, kind = 'ended', status = a_status, output = a_output, error = a_error, reason = a_reason,
    exit_code = a_exit_code, actor = a_name, holder = a_incarnation, attempt = a_attempt, sequence = f[3], started = f[4] })
  redis.call('LREM', k_held, '1', a_id)
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
  got = take(a[2], first)
end
if first and a[1] == a_incarnation and a[2] ~= 'open' and redis.call('LLEN', k_held) == 0 then
  fact('drained', '', '0', a_name, a_incarnation, '0')
end
serve(100)
table.insert(got, 1, 'OK')
return got
