-- What a holder's call is fenced by: the record's token must be the caller's. Reads no more than that takes.
local function fence()
  local f = redis.call('HMGET', k_job, 'status', 'token', 'sequence', 'started_ms')
  if not f[1] then
    return 'UNKNOWN'
  end
  if f[2] ~= a_epoch .. ' ' .. a_attempt .. ' ' .. a_incarnation then
    return 'STALE'
  end
  return 'OK', f
end
