-- epoch: raises the epoch, never lowers it. Checks none: it is what the others check.
-- KEYS epoch
-- ARGV epoch
-- USE order
-- RETURNS OK/SAME/HIGHER epoch
-- BOUND 1 element
local have = redis.call('GET', k_epoch)
if have == a_epoch then
  return { 'SAME', have }
end
if have and before(a_epoch, have) then
  return { 'HIGHER', have }
end
redis.call('SET', k_epoch, a_epoch)
return { 'OK', a_epoch }
