-- recover: what a dead incarnation held goes back, and its traces go.
-- KEYS epoch facts ended dead queue idle lease actor held wake incarnations groups
-- ARGV epoch type name incarnation interrupted max_crashes cause exit_code signal oom jitter ago more
-- USE epoch now stamp fact record fence opts type queue need end crash unread ready start serve
-- more: how many jobs earlier calls took back.
-- RETURNS NO_EPOCH | GONE | OK/AGAIN {id crashes dead actor}...
-- BOUND 1,000 wake messages, 100 held jobs (then AGAIN), 100 hand-overs, 100 spent ids
local reg, types = string.match(redis.call('HGET', k_incarnations, a_incarnation) or '', '^(%S+ %S+) ?(.*)$')
if reg ~= a_name .. ' ' .. a_type then
  return { 'GONE' }
end
if redis.call('HGET', k_actor, 'incarnation') == a_incarnation then
  rare.unread()
end
local ids = redis.call('LRANGE', k_held, 0, 99)
local jobs, back, forgotten, accused = {}, {}, {}, 0
for i, id in ipairs(ids) do
  forgotten[i] = a_incarnation .. ' ' .. id
  local j = read(id)
  jobs[i] = j
  if j.script and j.status == 'started' and j.holder == a_incarnation then
    j.outcome = rare.outcome(id, j)
    accused = accused + (j.outcome == 'crashed' and 1 or 0)
  end
end
for i = #ids, 1, -1 do -- the oldest last: the right end is served next
  local id, j = ids[i], jobs[i]
  if j.outcome then
    if accused + a_more > 1 and j.outcome == 'crashed' and not (j.opts and flag(j.opts, 'a')) then
      j.outcome = 'suspected'
    end
    local crashes, ended = rare.for_type(redis.call('HGET', job_key(id), 'type'), rare.crashed, id, j, j.outcome)
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
if types ~= '' then
  rare.stand(types, a_name .. ' ' .. a_incarnation, false)
end
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
