-- cancel: jobs of one type that nobody runs end. One that runs is marked: whoever ends it, unless well, ends it as
-- cancelled, and no script of it begins.
-- KEYS epoch facts ended dead queue idle lease delayed groups
-- ARGV epoch type
-- USE epoch now stamp fact record opts type queue need end ready start serve
-- RETURNS NO_EPOCH | OK {UNKNOWN/OK/ENDED/RUNNING [status reason actor sequence [incarnation attempt group]]}...
-- BOUND 50 jobs, 100 hand-overs, 100 spent ids, 500 jobs that wait for them; a queue of 1,000 is searched for each; in a longer one claim skips the id when it comes
-- More KEYS: the jobs' records.
-- More ARGV: the jobs' ids.
-- A key of another kind where a job's reply goes fails all of it before anything is written; one where an actor's wake list or the groups are
-- is passed over, since others may have ended by then.
local function running(id, j)
  local group = ''
  if j.holder ~= '' then -- else an actor of the original protocol has it, which nobody can tell
    if redis.call('HSETNX', job_key(id), 'cancel', now) == 1 then
      local wake = c_prefix .. ':wake:' .. j.actor
      local waiting = redis.pcall('LLEN', wake)
      if type(waiting) == 'number' and waiting < 100 then -- else its next renewal tells it
        redis.call('RPUSH', wake, cjson.encode({ v = 1, kind = 'cancel', id = id, attempt = j.attempt, epoch = j.epoch, incarnation = j.holder }))
      end
    end
    group = redis.pcall('HGET', k_groups, j.holder .. ' ' .. id)
    group = type(group) == 'string' and group or ''
  end
  return { 'RUNNING', j.status, '', j.actor, j.sequence or '0', j.holder, j.attempt, group }
end

local makes_room = false -- for jobs that one of them kept waiting
local function cancel(id)
  local j = read(id)
  if not j.known then
    return { 'UNKNOWN' }
  end
  if j.ended then
    return { 'ENDED', j.status, redis.call('HGET', job_key(id), 'reason') or '', '', j.sequence or '0' }
  end
  if j.status == 'started' then
    return running(id, j)
  end
  end_job({ id = id, kind = 'cancelled', status = 'error', output = '', error = 'cancelled before it was run',
    reason = 'cancelled', exit_code = '', actor = '', holder = '', attempt = j.attempt, sequence = j.sequence,
    opts = j.opts })
  rare.unqueue(id, j)
  makes_room = makes_room or j.opts
  return { 'OK', 'error', 'cancelled', '', j.sequence or '0' }
end

for i = 3, #ARGV do
  redis.call('LLEN', c_prefix .. ':q:reply:' .. ARGV[i])
end
local answer = { 'OK' }
for i = 3, #ARGV do
  answer[#answer + 1] = cancel(ARGV[i])
end
if makes_room then
  rare.serve(100)
  rare.serve_others()
end
return answer
