-- One ring is enough, however many there were reasons for. A wake list that nobody
-- registered for goes by itself.
local function ring()
  local text = '{"kind":"ring","v":1}'
  if redis.call('LINDEX', k_wake, -1) ~= text then
    redis.call('RPUSH', k_wake, text)
  end
  if redis.call('EXISTS', k_actor) == 0 then
    redis.call('EXPIRE', k_wake, 120)
  end
end
