-- A job goes into a hand; the caller then puts its id into held. First write: HSET, which a full Redis
-- refuses, so nothing was taken from anywhere by then. Returns the attempt, as text.
local function start(id, j, name, inc)
  local attempt = j.attempt == '0' and '1' or tostring(j.attempt + 1)
  local token = a_epoch .. ' ' .. attempt .. ' ' .. inc .. ' ' .. now .. ' ' .. name
  if j.ours then
    redis.call('HSET', job_key(id), 'status', 'started', 'token', token, 'updated_at', stamp())
  else -- pushed by others, and never seen before
    redis.call('HSETNX', job_key(id), 'script_type', a_type) -- original supervisors leave it to the queue's name
    redis.call('HSET', job_key(id), 'status', 'started', 'token', token, 'updated_at', stamp(), 'type', a_type, 'v', '1')
    redis.call('HDEL', job_key(id), 'sequence') -- if there is one, it is not the log's
  end
  if j.opts then
    rare.begun(id, j.opts)
  end
  if j.sequence and not (j.opts and flag(j.opts, 'a')) then
    tell(name, inc, 'started ' .. id .. ' ' .. j.sequence .. ' ' .. attempt .. ' timeout=' .. j.timeout .. ' since=' .. j.ready)
  else
    rare.fact('started', id, j.sequence, name, inc, attempt, 'timeout', j.timeout, 'since', j.ready,
      'alone', j.opts and flag(j.opts, 'a') and '1' or '')
  end
  return attempt
end

-- What an actor needs to run a job: a head "<attempt> <held> <more> <timeout> <id>" and the script, and with more = 1
-- environment, caller and context; to an actor of several types it is 2, and its type comes behind them. held is 1 for a job that was in hand before.
local function hand(answer, id, j, attempt, held)
  local n = #answer
  local timeout = string.match(j.timeout, '^%d+$') or '0'
  if many then
    answer[n + 1] = attempt .. ' ' .. held .. ' 2 ' .. timeout .. ' ' .. id
    answer[n + 2], answer[n + 3], answer[n + 4], answer[n + 5], answer[n + 6] = j.script, j.env, j.caller, j.context, a_type
  elseif j.env == '' and j.caller == '' and j.context == '' then
    answer[n + 1] = attempt .. ' ' .. held .. ' 0 ' .. timeout .. ' ' .. id
    answer[n + 2] = j.script
  else
    answer[n + 1] = attempt .. ' ' .. held .. ' 1 ' .. timeout .. ' ' .. id
    answer[n + 2], answer[n + 3], answer[n + 4], answer[n + 5] = j.script, j.env, j.caller, j.context
  end
end
