-- renew: an actor says that it lives, and asks whether its jobs are still its own.
-- KEYS epoch lease actor
-- ARGV epoch incarnation
-- USE epoch now record fence
-- RETURNS NO_EPOCH | OK told
-- BOUND 1,000 jobs
-- More ARGV: for each job in hand "<attempt> <id>".
-- told has a letter for each: O for OK, S for STALE (also: it has ended), U for UNKNOWN.
local told = ''
for i = 3, #ARGV do
  local attempt, id = string.match(ARGV[i], '^(%S+) (.+)$')
  local code, status = fence(job_key(id), a_epoch .. ' ' .. attempt .. ' ' .. a_incarnation .. ' ')
  told = told .. (code == 'OK' and status ~= 'started' and 'S' or string.sub(code, 1, 1))
end
if string.find(told, 'O', 1, true) then
  redis.call('ZADD', k_lease, 'GT', now, a_incarnation) -- forward only
end
if redis.call('HGET', k_actor, 'incarnation') == a_incarnation then
  redis.call('HSET', k_actor, 'seen_ms', now)
end
return { 'OK', told }
