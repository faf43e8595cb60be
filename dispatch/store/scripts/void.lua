-- void: this Redis has an old copy. Without its epoch it serves nobody until it is filled again.
-- KEYS epoch
-- ARGV epoch
-- USE epoch
-- RETURNS NO_EPOCH | OK
-- BOUND 1 element
redis.call('DEL', k_epoch)
return { 'OK' }
