-- What a holder's call is fenced by: the record's token must be the caller's. Reads no more than that takes.
-- want is "<epoch> <attempt> <incarnation> ". Returns OK and the record's status, sequence, the ms it was
-- started and opts; or UNKNOWN or STALE.
local function fence(key, want)
  local f = redis.pcall('HMGET', key, 'status', 'token', 'sequence', 'opts')
  if f.err or not f[1] then
    return 'UNKNOWN'
  end
  local token = f[2] or ''
  if string.sub(token, 1, #want) ~= want then
    return 'STALE'
  end
  local status = f[1]
  if status ~= 'started' and status ~= 'finished' and status ~= 'error' then
    status = rare.by_hand(key, want)
  end
  return 'OK', status, f[3], string.match(token, '^%d+', #want + 1) or '', f[4]
end

-- RARE
-- Others wrote over the status: the hand says whether the job is in it still, or had ended.
function rare.by_hand(key, want)
  local held = c_prefix .. ':held:' .. string.match(want, '(%S+) $')
  return redis.call('LPOS', held, string.sub(key, #c_prefix + 6)) and 'started' or 'finished'
end
