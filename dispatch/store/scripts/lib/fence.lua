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
  return 'OK', f[1], f[3], string.match(token, '^%d+', #want + 1) or '', f[4]
end
