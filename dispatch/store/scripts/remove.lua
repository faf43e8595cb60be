-- remove: an ended job is forgotten, its record, its reply and its place among the dead.
-- KEYS epoch facts dead job reply
-- ARGV epoch type id sequence
-- USE epoch now fact record
-- RETURNS NO_EPOCH | UNKNOWN | RUNNING status | STALE status | OK status
-- BOUND 1 element
-- sequence: of the message that the caller took out of the log before. A record of another one was revived since.
local j = read(a_id)
if not j.known then
  if redis.call('ZREM', k_dead, a_id) == 0 then
    return { 'UNKNOWN' }
  end
  rare.fact('removed', a_id, '0', '', '', '0')
  return { 'OK', '' }
end
if not j.ended then
  return { 'RUNNING', j.status }
end
if (j.sequence or '0') ~= a_sequence then
  return { 'STALE', j.status }
end
redis.call('UNLINK', k_job, k_reply)
redis.call('ZREM', k_dead, a_id)
rare.fact('removed', a_id, j.sequence, '', '', j.attempt)
return { 'OK', j.status }
