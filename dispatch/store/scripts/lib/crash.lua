-- USE history
-- RARE
-- One job of an actor that died. Whose fault it was decides where the job goes:
--   cancelled    it ends: the death is how its cancel was carried out
--   interrupted  we ended the actor, or it never knew that it had the job, or it was seen dead (ago, in ms) when the job
--                was put into its hand: to the front of the queue, counted as nothing
--   suspected    it died with others, for the first time: not counted; it runs alone from then on
--   crash        counted; the first runs again at once, the second after up to 1 s, further ones up to 10 s
--                (full jitter); at the limit within 72 hours it is dead
function rare.outcome(id, j)
  local f = redis.call('HMGET', job_key(id), 'cancel', 'unread')
  if f[1] then
    return 'cancelled'
  elseif a_interrupted == '1' or f[2] == j.attempt .. ' ' .. a_incarnation or a_ago ~= '' and tonumber(j.started) and j.started - (now - a_ago) > 0 then
    return 'interrupted'
  end
  return 'crashed'
end

-- outcome: as above, suspected among it. Returns the crashes that count, and 1 for a job that ended.
function rare.crashed(id, j, outcome)
  local key = job_key(id)
  local times = {}
  for ms in string.gmatch(redis.call('HGET', key, 'crash_ms') or '', '%d+') do
    if now - ms < 259200000 then
      times[#times + 1] = ms
    end
  end
  if outcome == 'crashed' then
    times[#times + 1] = now
  end
  local crashes = string.format('%d', #times)
  local pause = 0
  if outcome == 'crashed' and #times > 1 and #times < tonumber(a_max_crashes) then
    pause = math.floor((#times == 2 and 1000 or 10000) * a_jitter)
  end
  local ready = string.format('%d', now + pause)
  -- Nobody's token is good any more: the dead actor's last finish may still be on its way.
  redis.call('HSET', key, 'status', 'dispatched', 'token', j.epoch .. ' ' .. j.attempt .. '  ' .. j.started .. ' ' .. j.actor,
    'crashes', crashes, 'crash_ms', table.concat(times, ' '), 'ready_ms', ready, 'updated_at', stamp())
  if outcome == 'suspected' then
    j.opts = j.opts and j.opts .. ' a' or 'a'
    redis.call('HSET', key, 'opts', j.opts)
  end
  rare.remember(id, { attempt = j.attempt, actor = a_name, incarnation = a_incarnation, began = j.started, ended = now,
    outcome = outcome, reason = a_cause, exit_code = a_exit_code ~= '' and a_exit_code or nil,
    signal = a_signal ~= '' and a_signal or nil, oom = a_oom == '1' and '1' or nil })
  if outcome == 'cancelled' then
    end_job({ id = id, kind = 'ended', status = 'error', output = '', error = 'cancelled while it ran; its actor was ended for it',
      reason = 'cancelled', exit_code = '', actor = a_name, holder = a_incarnation, attempt = j.attempt, sequence = j.sequence, opts = j.opts,
      started = j.started })
    return crashes, 1
  end
  if outcome == 'crashed' and #times >= tonumber(a_max_crashes) then
    end_job({ id = id, kind = 'dead', status = 'error', output = '', exit_code = '',
      error = 'its actor died ' .. crashes .. ' times while running it, the last time by: ' .. a_cause,
      reason = 'its actor died while running it', cause = a_cause, actor = a_name, holder = a_incarnation,
      attempt = j.attempt, sequence = j.sequence, opts = j.opts, crashes = crashes, started = j.started })
    rare.bury(id)
    return crashes, 1
  end
  local said = { 'crashes', crashes, 'how', outcome, 'reason', a_cause }
  if pause > 0 then
    redis.call('ZADD', c_prefix .. ':delayed:' .. a_type, ready, id)
    said[#said + 1], said[#said + 2] = 'next', ready
  else
    rare.enqueue(id, j, 'back')
  end
  rare.fact('retried', id, j.sequence, a_name, a_incarnation, j.attempt, unpack(said))
  return crashes, 0
end
