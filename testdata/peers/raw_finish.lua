-- KEYS work held job-prefix reply-prefix  ARGV owner now id output
local job = KEYS[3] .. ARGV[3]
if redis.call('HGET', job, 'owner') ~= ARGV[1] then
  return redis.error_reply('STALE')
end
redis.call('LREM', KEYS[2], 1, ARGV[3])
redis.call('HSET', job, 'status', 'finished', 'output', ARGV[4], 'finished', ARGV[2])
redis.call('LPUSH', KEYS[4] .. ARGV[3], ARGV[4])
redis.call('EXPIRE', KEYS[4] .. ARGV[3], 3600)
local id = redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
if not id then
  return {}
end
redis.call('HSET', KEYS[3] .. id, 'status', 'started', 'owner', ARGV[1], 'started', ARGV[2])
return { id, redis.call('HGET', KEYS[3] .. id, 'script') }
