-- owner: takes, renews or gives up the prefix for a state id. Checks no epoch: it comes before.
-- KEYS owner
-- ARGV state lease
-- USE now
-- RETURNS OK/OTHER state rest
-- BOUND 1 element
-- The value is "<state id> <until ms>": no key expiry, which miniredis has no clock for. Lease 0 gives up.
local state, till = string.match(redis.call('GET', k_owner) or '', '^(%S+) (%d+)$')
local rest = till and tonumber(till) - now or 0
if state and state ~= a_state and rest > 0 then
  return { 'OTHER', state, rest }
end
local lease = tonumber(a_lease)
if lease > 0 then
  redis.call('SET', k_owner, a_state .. ' ' .. string.format('%d', now + lease))
elseif state == a_state then
  redis.call('DEL', k_owner)
end
return { 'OK', a_state, lease }
