-- USE retain
-- The one way a job ends: record, one reply, the list for the log, the fact.
-- e: id kind status output error reason exit_code | actor holder host attempt sequence started crashes cause failed opts (false: none; nil: not read)
-- The list for the log is written when the script ends (end_all), one command for all.
local gone = {}
local function end_job(e)
  local key = c_prefix .. ':job:' .. e.id
  local opts = e.opts
  if opts == nil then
    opts = redis.call('HGET', key, 'opts')
  end
  local reply = c_prefix .. ':q:reply:' .. e.id
  if e.error == '' and e.reason == '' and e.exit_code == '' then
    redis.call('HSET', key, 'status', e.status, 'updated_at', stamp(), 'output', e.output)
  else
    redis.call('HSET', key, 'status', e.status, 'updated_at', stamp(), 'output', e.output, 'exit_code', e.exit_code,
      'error', e.error, 'reason', e.reason)
    if e.host then
      redis.call('HSET', key, 'host', e.host)
    end
    if e.kind == 'dead' then
      redis.call('HSET', key, 'dead_ms', now, 'cause', e.cause or '')
    end
  end
  redis.call('LPUSH', reply, e.status == 'finished' and e.output or e.error)
  local sequence = e.sequence or '0'
  if sequence ~= '' and sequence ~= '0' then
    gone[#gone + 1] = sequence .. ' ' .. e.id .. ' ' .. (e.kind == 'dead' and 'dead' or e.status) -- settle lets both keys expire
  else
    redis.call('EXPIRE', reply, c_keep)
    if not opts or not flag(opts, 'u') then
      redis.call('EXPIRE', key, c_keep)
    end
    rare.retain({ '0 ' .. e.id })
    if e.kind == 'dead' then -- it goes to the bucket of the dead all the same
      gone[#gone + 1] = '0 ' .. e.id .. ' dead'
    else
      rare.keep_result(e.id, '0', opts)
    end
  end
  if e.reason == '' and e.exit_code == '' and e.sequence then
    tell(e.actor, e.holder, e.kind .. ' ' .. e.id .. ' ' .. sequence .. ' ' .. e.attempt .. ' outcome=' .. e.status ..
      ' since=' .. (e.started or ''))
  else
    rare.fact(e.kind, e.id, e.sequence, e.actor, e.holder, e.attempt, 'outcome', e.status, 'since', e.started or '',
      'exit_code', e.exit_code, 'crashes', e.crashes or '', 'reason', e.reason, 'cause', e.cause or '', 'failed', e.failed or '')
  end
  if opts then
    rare.after_end(e.id, opts, e.status == 'finished')
  end
end

local function end_all()
  if #gone > 0 then
    redis.call('RPUSH', k_ended, unpack(gone))
  end
end

-- RARE
-- Into the list of the dead, which is capped by age and number: the oldest go.
function rare.bury(id)
  redis.call('ZADD', k_dead, now, id)
  redis.call('ZREMRANGEBYSCORE', k_dead, '-inf', '(' .. string.format('%d', now - c_dead_age))
  local over = redis.call('ZCARD', k_dead) - c_dead_most
  if over > 0 then
    redis.call('ZREMRANGEBYRANK', k_dead, 0, over - 1)
  end
end

-- An id that can not be run: without a record there is nothing to write the reason into.
function rare.bury_unusable(id, j)
  if j.ended or id == '' then
    return -- buried before, and pushed again; or nothing that could be told of
  end
  if j.known then
    end_job({ id = id, kind = 'dead', status = 'error', output = '', error = 'the record has no script',
      reason = 'no script', exit_code = '', actor = '', holder = '', attempt = j.attempt, sequence = j.sequence, opts = j.opts })
  else
    rare.fact('dead', id, '0', '', '', '0', 'outcome', 'error', 'reason', 'no record')
    rare.release(id, false, false)
  end
  rare.bury(id)
end

-- An end without a run.
function rare.end_unrun(id, j, reason, text)
  end_job({ id = id, kind = 'ended', status = 'error', output = '', error = text, reason = reason, exit_code = '',
    actor = '', holder = '', attempt = j.attempt, sequence = j.sequence, opts = j.opts })
end

function rare.late(opts)
  local by = opt(opts, 'b')
  return by and tonumber(by) <= tonumber(now)
end

function rare.expire(id, j)
  rare.end_unrun(id, j, 'expired', 'not begun in time')
end
