-- renew: an actor says that it lives, and asks whether its jobs are still its own.
-- KEYS epoch lease actor
-- ARGV epoch incarnation
-- USE epoch now record fence
-- RETURNS NO_EPOCH | OK told
-- BOUND 1,000 jobs
-- More ARGV: for each job in hand "<attempt> <id>".
-- told has a letter for each: O for OK, C for CANCELLED (its own still, and to be ended), S for STALE (also: it has ended), U for UNKNOWN.
local told = ''
for i = 3, #ARGV do
  local attempt, id = string.match(ARGV[i], '^(%S+) (.+)$')
  local code, status = fence(job_key(id), a_epoch .. ' ' .. attempt .. ' ' .. a_incarnation .. ' ')
  if code == 'OK' and status ~= 'started' then
    code = 'STALE'
  elseif code == 'OK' and redis.call('HEXISTS', job_key(id), 'cancel') == 1 then
    code = 'CANCELLED'
  end
  told = told .. string.sub(code, 1, 1)
end
if string.find(told, '[OC]') then
  redis.call('ZADD', k_lease, 'GT', now, a_incarnation) -- forward only
end
if redis.call('HGET', k_actor, 'incarnation') == a_incarnation then
  redis.call('HSET', k_actor, 'seen_ms', now)
end
return { 'OK', told }
