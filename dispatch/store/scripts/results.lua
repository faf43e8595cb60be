-- results: results whose time is over go; the records stay, and say so.
-- KEYS epoch results
-- ARGV epoch
-- USE epoch now retain
-- RETURNS NO_EPOCH | OK gone
-- BOUND 500 results
local due = redis.call('ZRANGEBYSCORE', k_results, '-inf', now, 'LIMIT', '0', '500')
for _, old in ipairs(due) do
  rare.forget_result(old)
end
return { 'OK', #due }
