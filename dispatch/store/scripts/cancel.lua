-- cancel: a job that nobody runs ends.
-- KEYS epoch facts ended dead queue idle lease job delayed
-- ARGV epoch type id
-- USE epoch now stamp fact record opts type queue need end ready start serve
-- RETURNS NO_EPOCH | UNKNOWN | OK/RUNNING/ENDED status reason actor sequence
-- BOUND 100 hand-overs, 100 spent ids, 500 jobs that wait for it; a queue of 1,000 is searched; in a longer one claim skips the id when it comes
local j = read(a_id)
if not j.known then
  return { 'UNKNOWN' }
end
if j.ended then
  return { 'ENDED', j.status, redis.call('HGET', k_job, 'reason') or '', '', j.sequence or '0' }
end
if j.status == 'started' then -- by ours, or by an actor of the original protocol
  return { 'RUNNING', j.status, '', j.actor, j.sequence or '0' }
end
end_job({ id = a_id, kind = 'cancelled', status = 'error', output = '', error = 'cancelled before it was run',
  reason = 'cancelled', exit_code = '', actor = '', holder = '', attempt = j.attempt, sequence = j.sequence,
  opts = j.opts })
redis.call('ZREM', k_delayed, a_id)
if redis.call('LLEN', k_queue) <= 1000 then
  redis.call('LREM', k_queue, 0, a_id)
end
if j.opts then
  serve(100) -- jobs that it kept waiting
  serve_others()
end
return { 'OK', 'error', 'cancelled', '', j.sequence or '0' }
