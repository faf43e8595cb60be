-- claim: the next job for an actor, or its place among the idle.
-- KEYS epoch facts ended dead queue idle lease actor held wake
-- ARGV epoch type name incarnation
-- USE epoch now stamp fact record end start serve take
-- RETURNS NO_EPOCH | UNREGISTERED | CLOSED | IDLE | AGAIN | JOB held id script env timeout caller context attempt
-- BOUND 100 spent ids, 100 stale held ids, 200 wake messages, 100 hand-overs
local a = redis.call('HMGET', k_actor, 'incarnation', 'gate')
if a[1] ~= a_incarnation then
  return { 'UNREGISTERED' }
end
local got = take(a[2], false)
if got[1] ~= 'JOB' then
  redis.call('HSET', k_actor, 'seen_ms', now)
else
  serve(100) -- a backlog beside idle actors: a push that told nobody
end
return got
