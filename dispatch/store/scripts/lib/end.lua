-- The one way a job ends: record, one reply, the list for the log, the fact.
local function end_job(id, j, kind, status, output, err, reason, exit_code)
  local set = { 'status', status, 'updated_at', iso(now), 'ended_ms', now_text, 'output', output }
  local function add(name, value)
    if value ~= '' then
      set[#set + 1] = name
      set[#set + 1] = value
    end
  end
  add('error', err)
  add('reason', reason)
  add('exit_code', exit_code)
  redis.call('HSET', job_key(id), unpack(set))
  local reply = a_prefix .. ':q:reply:' .. id
  redis.call('LPUSH', reply, status == 'finished' and output or err)
  redis.call('EXPIRE', reply, a_keep)
  if logged(j) then
    redis.call('RPUSH', k_ended, j.sequence .. ' ' .. id .. ' ' .. status)
  else
    redis.call('EXPIRE', job_key(id), a_keep)
  end
  fact(kind, 'job', id, 'type', a_type, 'actor', j.actor, 'incarnation', j.holder, 'attempt', j.attempt,
    'sequence', j.sequence or '0', 'outcome', status, 'reason', reason, 'exit_code', exit_code,
    'run', j.started > 0 and math.max(0, now - j.started) or 0, 'crashes', j.crashes)
end

-- Into the list of the dead, capped: the oldest go.
local function bury(id)
  redis.call('ZADD', k_dead, now_text, id)
  if redis.call('ZCARD', k_dead) > 10000 then
    redis.call('ZREMRANGEBYRANK', k_dead, 0, 99)
  end
end

-- An id that can not be run: without a record there is nothing to write the reason into.
local function bury_unusable(id, j)
  if j.ended then
    return -- buried before, and pushed again
  end
  if j.known then
    end_job(id, j, 'dead', 'error', '', 'the record has no script', 'no script', '')
  else
    fact('dead', 'job', id, 'type', a_type, 'sequence', '0', 'outcome', 'error', 'reason', 'no record')
  end
  bury(id)
end
