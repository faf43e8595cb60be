-- vouch: the daemon has compared this server's state with what it knows.
-- KEYS epoch vouched
-- ARGV epoch run
-- USE epoch
-- RETURNS NO_EPOCH | OK
-- BOUND 1 element
redis.call('SET', k_vouched, a_run)
return { 'OK' }
