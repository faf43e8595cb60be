-- settle: the log's messages of these entries are gone; their records may expire.
-- KEYS epoch ended
-- ARGV epoch
-- USE epoch
-- RETURNS NO_EPOCH | OK left
-- BOUND 1,000 entries
-- More ARGV: entries as "sequence id outcome", the first of the list, in order.
for i = 2, #ARGV do
  if redis.call('LINDEX', k_ended, 0) == ARGV[i] then
    redis.call('LPOP', k_ended)
    local id = string.match(ARGV[i], '^%S+ (.+) %S+$')
    local key = c_prefix .. ':job:' .. id
    local f = redis.call('HMGET', key, 'status', 'opts')
    local status = f[1]
    if (status == 'finished' or status == 'error') and f[2] and string.find(' ' .. f[2] .. ' ', ' u ', 1, true) then
      redis.call('HSET', key, 'settled', '1') -- others wait for it: expires when none does
      redis.call('EXPIRE', c_prefix .. ':q:reply:' .. id, c_keep)
    elseif status == 'finished' or status == 'error' then
      redis.call('EXPIRE', key, c_keep)
      redis.call('EXPIRE', c_prefix .. ':q:reply:' .. id, c_keep)
    end
  end
end
return { 'OK', redis.call('LLEN', k_ended) }
