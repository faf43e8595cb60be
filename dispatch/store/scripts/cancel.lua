-- cancel: a job that nobody runs ends. One that runs is marked: whoever ends it, unless well, ends it as cancelled, and no
-- script of it begins.
-- KEYS epoch facts ended dead queue idle lease job delayed groups
-- ARGV epoch type id
-- USE epoch now stamp fact record opts type queue need end ready start serve
-- RETURNS NO_EPOCH | UNKNOWN | OK/ENDED status reason actor sequence | RUNNING status reason actor sequence incarnation attempt group
-- BOUND 100 hand-overs, 100 spent ids, 500 jobs that wait for it; a queue of 1,000 is searched; in a longer one claim skips the id when it comes
local j = read(a_id)
if not j.known then
  return { 'UNKNOWN' }
end
if j.ended then
  return { 'ENDED', j.status, redis.call('HGET', k_job, 'reason') or '', '', j.sequence or '0' }
end
if j.status == 'started' then
  local actor = j.actor
  local group = ''
  if j.holder ~= '' then -- else an actor of the original protocol has it, which nobody can tell
    if redis.call('HSETNX', k_job, 'cancel', now) == 1 then
      local wake = c_prefix .. ':wake:' .. actor
      if redis.call('LLEN', wake) < 100 then -- else its next renewal tells it
        redis.call('RPUSH', wake, cjson.encode({ v = 1, kind = 'cancel', id = a_id, attempt = j.attempt, epoch = j.epoch, incarnation = j.holder }))
      end
    end
    group = redis.call('HGET', k_groups, j.holder .. ' ' .. a_id) or ''
  end
  return { 'RUNNING', j.status, '', actor, j.sequence or '0', j.holder, j.attempt, group }
end
end_job({ id = a_id, kind = 'cancelled', status = 'error', output = '', error = 'cancelled before it was run',
  reason = 'cancelled', exit_code = '', actor = '', holder = '', attempt = j.attempt, sequence = j.sequence,
  opts = j.opts })
rare.unqueue(a_id, j)
if j.opts then
  rare.serve(100) -- jobs that it kept waiting
  rare.serve_others()
end
return { 'OK', 'error', 'cancelled', '', j.sequence or '0' }
