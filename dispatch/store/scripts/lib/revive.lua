-- USE history
-- RARE
-- An ended job is to run again under its id: counted from zero, its attempts go on (a token is ordered by them), its
-- end goes into its history.
function rare.revive(id, j, sequence)
  local key = job_key(id)
  local f = redis.call('HMGET', key, 'reason', 'cause', 'exit_code', 'updated_at', 'error', 'host')
  if j.holder ~= '' then -- of an attempt that did not end it there is a line already
    rare.remember(id, { attempt = j.attempt, actor = j.actor, incarnation = j.holder, began = j.started, ended_at = f[4] or nil,
      outcome = 'ended', reason = f[2] and f[2] ~= '' and f[2] or f[1] or nil, exit_code = f[3] and f[3] ~= '' and f[3] or nil,
      error = f[5] or nil, host = f[6] or nil })
  end
  redis.call('HSET', key, 'status', 'dispatched', 'token', a_epoch .. ' ' .. j.attempt .. '  ' .. j.started .. ' ' .. j.actor, 'sequence', sequence,
    'ready_ms', now, 'updated_at', stamp(), 'type', a_type, 'v', '1')
  redis.call('HDEL', key, 'output', 'error', 'reason', 'exit_code', 'crashes', 'crash_ms', 'retried', 'cancel', 'dead_ms', 'cause',
    'gave_back', 'host', 'forgotten', 'unread', 'settled', 'first_ms', 'asserted', 'awaits')
  redis.call('PERSIST', key)
  redis.call('UNLINK', c_prefix .. ':q:reply:' .. id)
  redis.call('ZREM', k_dead, id)
end
