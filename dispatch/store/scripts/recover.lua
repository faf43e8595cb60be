-- recover: what a dead incarnation held goes back, and its traces go.
-- KEYS epoch facts ended dead queue idle lease actor held wake incarnations groups
-- ARGV epoch type name incarnation interrupted max_crashes cause exit_code signal oom jitter ago
-- USE epoch now stamp fact record fence opts type queue need end crash unread ready start serve
-- RETURNS NO_EPOCH | GONE | OK/AGAIN {id crashes dead actor}...
-- BOUND 1,000 wake messages, 100 held jobs (then AGAIN), 100 hand-overs, 100 spent ids
if string.match(redis.call('HGET', k_incarnations, a_incarnation) or '', '^%S+ %S+') ~= a_name .. ' ' .. a_type then
  return { 'GONE' }
end
if redis.call('HGET', k_actor, 'incarnation') == a_incarnation then
  rare.unread()
end
local ids = redis.call('LRANGE', k_held, 0, 99)
local back, forgotten = {}, {}
for i = #ids, 1, -1 do -- the oldest last: the right end is served next
  local id = ids[i]
  forgotten[#forgotten + 1] = a_incarnation .. ' ' .. id
  local j = read(id)
  if j.script and j.status == 'started' and j.holder == a_incarnation then
    local crashes, ended = rare.for_type(redis.call('HGET', job_key(id), 'type'), rare.crashed, id, j)
    table.insert(back, 1, { id, crashes, ended, '' })
  elseif not j.script then
    rare.bury_unusable(id, j)
  end
end
if #ids > 0 then
  redis.call('LTRIM', k_held, #ids, -1)
  redis.call('HDEL', k_groups, unpack(forgotten))
end
local code = 'AGAIN'
if redis.call('EXISTS', k_held) == 0 then
  code = 'OK'
  redis.call('HDEL', k_incarnations, a_incarnation)
  redis.call('ZREM', k_lease, a_incarnation)
end
redis.call('ZREM', k_idle, a_name .. ' ' .. a_incarnation)
if redis.call('HGET', k_actor, 'incarnation') == a_incarnation then
  redis.call('DEL', k_actor, k_wake)
end
local handed = rare.serve(100)
rare.serve_others(handed)
local answer = { code }
for _, b in ipairs(back) do
  for _, h in ipairs(handed) do
    if h.id == b[1] then
      b[4] = h.actor
    end
  end
  answer[#answer + 1] = b
end
return answer
