-- KEYS work job  ARGV id script now
redis.call('HSET', KEYS[2], 'script', ARGV[2], 'status', 'dispatched', 'created', ARGV[3], 'type', 'noop', 'attempt', '0', 'caller', '')
redis.call('LPUSH', KEYS[1], ARGV[1])
return 1
