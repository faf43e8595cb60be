-- remove: an ended job is forgotten, its record, its reply and its place among the dead.
-- KEYS epoch facts dead job reply unlocks
-- ARGV epoch type id sequence
-- USE epoch now fact record
-- RETURNS NO_EPOCH | UNKNOWN | RUNNING status | STALE status | WAITED status count | OK status
-- BOUND 1 element
-- sequence: of the message that the caller took out of the log before. A record of another one was revived since.
-- WAITED: jobs hold until it has run again, or promote is releasing them still; without the record neither could be.
local j = read(a_id)
if j.known and not j.ended then
  return { 'RUNNING', j.status }
end
if j.known and (j.sequence or '0') ~= a_sequence then
  return { 'STALE', j.status }
end
local waiting = redis.call('ZCARD', k_unlocks)
if waiting > 0 then
  return { 'WAITED', j.status, waiting }
end
if not j.known then
  return redis.call('ZREM', k_dead, a_id) == 0 and { 'UNKNOWN' } or { 'OK', '' } -- of what type it was nobody knows: there is nothing to tell
end
redis.call('UNLINK', k_job, k_reply)
redis.call('ZREM', k_dead, a_id)
rare.fact('removed', a_id, j.sequence, '', '', j.attempt)
return { 'OK', j.status }
