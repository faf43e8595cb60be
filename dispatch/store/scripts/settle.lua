-- settle: the log's messages of these entries are gone; their records may expire.
-- KEYS epoch ended
-- ARGV epoch
-- USE epoch now retain
-- RETURNS NO_EPOCH | OK left
-- BOUND 1,000 entries, 2,000 old records, 2,000 old results
-- More ARGV: entries as "sequence id outcome", the first of the list, in order.
local settled, entries = 0, {}
local head = ARGV[2] and redis.call('LRANGE', k_ended, '0', #ARGV - 2) or {}
for i = 2, #ARGV do
  if head[settled + 1] == ARGV[i] then
    settled = settled + 1
    local sequence, id, outcome = string.match(ARGV[i], '^(%S+) (.+) (%S+)$')
    local key = c_prefix .. ':job:' .. id
    local f = redis.pcall('HMGET', key, 'status', 'opts', 'sequence')
    -- Revived meanwhile, it is not this end that counts; of a dead job in no log this is told when it ended.
    if (f[1] == 'finished' or f[1] == 'error') and sequence ~= '0' and f[3] == sequence then
      if f[2] and string.find(' ' .. f[2] .. ' ', ' u ', 1, true) then
        redis.call('HSET', key, 'settled', '1') -- others wait for it: expires when none does
      else
        redis.call('EXPIRE', key, c_keep)
      end
      redis.call('EXPIRE', c_prefix .. ':q:reply:' .. id, c_keep)
      entries[#entries + 1] = sequence .. ' ' .. id
      if outcome ~= 'dead' then
        rare.keep_result(id, sequence, f[2])
      end
    end
  end
end
if settled > 0 then
  redis.call('LTRIM', k_ended, settled, '-1')
end
rare.retain(entries)
return { 'OK', redis.call('LLEN', k_ended) }
