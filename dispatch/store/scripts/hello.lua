-- hello: an actor registers its incarnation under its name.
-- KEYS epoch facts actor wake held idle incarnations types lease
-- ARGV epoch type name incarnation slots
-- USE epoch now fact fence unread
-- RETURNS NO_EPOCH | OK gate held | SUPERSEDED incarnation | CONFLICT registered
-- BOUND 1,000 wake messages
-- More ARGV: what it serves, if that is more than its type (else empty): "<type>:<weight> ...", its own first, at most 32; and for
-- people the name of its host, without blanks. Either may be left out.
-- A repeat by the registered incarnation changes nothing, the gate least of all.
local types, host = ARGV[6] ~= '' and ARGV[6] or nil, ARGV[7] or ''
local reg = a_name .. ' ' .. a_type .. (types and ' ' .. types or '') .. (host ~= '' and ' @' .. host or '')
local a = redis.call('HMGET', k_actor, 'incarnation', 'gate')
if a[1] == a_incarnation then
  redis.call('HSET', k_actor, 'seen_ms', now, 'slots', a_slots)
  return { 'OK', a[2], redis.call('LLEN', k_held) }
end
local was = redis.call('HGET', k_incarnations, a_incarnation)
if was and was ~= reg then
  return { 'CONFLICT', was } -- one process is one actor: its held list is its slots
end
if a[1] and was then
  return { 'SUPERSEDED', a[1] } -- registered once, then displaced: two processes would swap the name for ever
end
rare.unread() -- by the process before
redis.call('HSET', k_actor, 'gate', 'open', 'incarnation', a_incarnation, 'type', a_type, 'seen_ms', now,
  'hello_ms', now, 'slots', a_slots, 'v', '1')
redis.call('HDEL', k_actor, 'ping', 'pong', 'types', 'turns', 'alone')
if types then
  redis.call('HSET', k_actor, 'types', types)
  for t in string.gmatch(types, '(%S+):') do
    redis.call('SADD', k_types, t)
  end
end
redis.call('DEL', k_wake)
if a[1] then
  redis.call('ZREM', k_idle, a_name .. ' ' .. a[1])
end
redis.call('HSET', k_incarnations, a_incarnation, reg)
redis.call('ZADD', k_lease, 'GT', now, a_incarnation)
redis.call('SADD', k_types, a_type)
rare.fact('hello', '', '0', a_name, a_incarnation, '0')
return { 'OK', 'open', redis.call('LLEN', k_held) }
