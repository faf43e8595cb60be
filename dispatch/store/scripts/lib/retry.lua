-- USE history
-- The end of an attempt as its actor told it: the job's end, or another try.
local function attempt_ended(e, jitter)
  if e.status == 'finished' or not rare.retry(e, jitter) then
    end_job(e)
    if e.kind == 'dead' then
      rare.bury(e.id)
    end
  end
end

-- RARE
-- A script that failed runs once more after a pause, if it has retries left. The pause is drawn by full jitter:
-- the caller's number from 0 to 1, since Redis' own are the same in each run, times min(cap, base * 2^n). true:
-- the job waits again. Otherwise e says how the job ends. With the reason unable it was not run at all, for want of what
-- the actor needs for any job (error says of what): another may take it.
-- e: as end_job's, with what its actor said
function rare.retry(e, jitter)
  local key = c_prefix .. ':job:' .. e.id
  e.host = rare.host(e.holder)
  local f = redis.call('HMGET', key, 'retries', 'retried', 'cancel', 'asserted')
  if f[3] then -- it ended because it was told to, as far as anybody can know
    e.reason = 'cancelled'
    e.error = e.error == '' and 'cancelled while it ran' or 'cancelled while it ran\n' .. e.error
    return false
  end
  if f[4] then -- kept over a rebuild, and the log has yet to say how often it may be tried: it runs again when that has come
    redis.call('HSET', key, 'status', 'dispatched', 'token', a_epoch .. ' ' .. e.attempt .. '  ' .. e.started .. ' ' .. e.actor,
      'gave_back', a_epoch .. ' ' .. e.attempt .. ' ' .. e.holder, 'asserted', 'failed', 'updated_at', stamp())
    return true
  end
  -- Of others' texts plain numbers only: nan and inf are some to Lua, and would have it run for ever.
  local most, used = tonumber(string.match(f[1] or '', '^%d+$') or 0), tonumber(string.match(f[2] or '', '^%d+$') or 0)
  if e.reason == 'unable' then -- nothing was tried: to the front of its queue, counted as nothing
    local was = redis.call('HGET', key, 'ready_ms') or ''
    redis.call('HSET', key, 'status', 'dispatched', 'token', a_epoch .. ' ' .. e.attempt .. '  ' .. e.started .. ' ' .. e.actor,
      'gave_back', a_epoch .. ' ' .. e.attempt .. ' ' .. e.holder, 'ready_ms', now, 'updated_at', stamp())
    rare.remember(e.id, { attempt = e.attempt, actor = e.actor, incarnation = e.holder, began = e.started, ended = now,
      outcome = 'interrupted', reason = e.error, host = e.host })
    rare.enqueue(e.id, { opts = e.opts, ready = was }, 'back')
    rare.fact('retried', e.id, e.sequence, e.actor, e.holder, e.attempt, 'failed', '1', 'how', 'interrupted', 'reason', rare.brief(e.error))
    return true
  end
  if e.opts and flag(e.opts, 'a') then -- its actor lives, so it is none that kills
    e.opts = rare.unset(e.id, e.opts, 'a')
  end
  if most <= 0 then
    return false
  end
  if used >= most then
    e.kind, e.cause, e.reason, e.failed = 'dead', e.reason, 'retries used up', '1'
    return false
  end
  local ready = string.format('%d', now + math.floor(math.min(c_retry_cap, c_retry_base * 2 ^ used) * jitter))
  local count = string.format('%d', used + 1)
  redis.call('HSET', key, 'status', 'dispatched', 'token', a_epoch .. ' ' .. e.attempt .. '  ' .. e.started .. ' ' .. e.actor,
    'gave_back', a_epoch .. ' ' .. e.attempt .. ' ' .. e.holder, 'retried', count, 'ready_ms', ready, 'updated_at', stamp())
  rare.remember(e.id, { attempt = e.attempt, actor = e.actor, incarnation = e.holder, began = e.started, ended = now,
    outcome = 'failed', reason = e.reason, exit_code = e.exit_code ~= '' and e.exit_code or nil, error = e.error, host = e.host })
  redis.call('ZADD', c_prefix .. ':delayed:' .. a_type, ready, e.id)
  rare.fact('retried', e.id, e.sequence, e.actor, e.holder, e.attempt, 'failed', '1', 'reason', e.reason, 'retries', count,
    'next', ready)
  return true
end

-- A repeat of what was told already: the job has gone on to wait, or to its next attempt, so its token says no more.
function rare.told_before(id, attempt)
  return redis.call('HGET', c_prefix .. ':job:' .. id, 'gave_back') == a_epoch .. ' ' .. attempt .. ' ' .. a_incarnation
end
