-- ring: makes an actor claim, whether registered or not.
-- KEYS epoch actor wake
-- ARGV epoch
-- USE epoch ring
-- RETURNS NO_EPOCH | OK
-- BOUND 1 element
ring()
return { 'OK' }
