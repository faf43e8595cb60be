-- KEYS work held job-prefix  ARGV owner now
local id = redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
if not id then
  return {}
end
redis.call('HSET', KEYS[3] .. id, 'status', 'started', 'owner', ARGV[1], 'started', ARGV[2])
return { id, redis.call('HGET', KEYS[3] .. id, 'script') }
