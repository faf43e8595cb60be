-- recover: what a dead incarnation held goes back, and its traces go.
-- KEYS epoch facts ended dead queue idle lease actor held wake incarnations groups
-- ARGV prefix epoch type lease keep name incarnation interrupted max_crashes
-- USE epoch now fact record end start serve
-- RETURNS NO_EPOCH | GONE | OK/AGAIN {id crashes dead actor}...
-- BOUND 100 held jobs (then AGAIN), 100 hand-overs, 100 spent ids
if redis.call('HGET', k_incarnations, a_incarnation) ~= a_name .. ' ' .. a_type then
  return { 'GONE' }
end
local ids = redis.call('LRANGE', k_held, 0, 99)
local back = {}
for i = #ids, 1, -1 do -- the oldest last: the right end is served next
  local id = ids[i]
  local j = read(id)
  if j.script and j.status == 'started' and j.holder == a_incarnation then
    if a_interrupted ~= '1' then
      j.crashes = j.crashes + 1
    end
    local dead = a_interrupted ~= '1' and j.crashes >= tonumber(a_max_crashes)
    -- Nobody's token is good any more: the dead actor's last finish may still be on its way.
    redis.call('HSET', job_key(id), 'status', 'dispatched', 'incarnation', '', 'crashes', j.crashes,
      'ready_ms', now_text, 'updated_at', iso(now))
    if dead then
      end_job(id, j, 'dead', 'error', '', 'its actor died ' .. j.crashes .. ' times while running it',
        'its actor died while running it', '')
      bury(id)
    else
      redis.call('RPUSH', k_queue, id)
      fact('retried', 'job', id, 'type', a_type, 'actor', a_name, 'incarnation', a_incarnation, 'attempt', j.attempt,
        'sequence', j.sequence or '0', 'crashes', j.crashes, 'reason', a_interrupted == '1' and 'interrupted' or 'actor died')
    end
    redis.call('ZREM', k_lease, id)
    table.insert(back, 1, { id, j.crashes, dead and 1 or 0, '' })
  elseif not j.script then
    bury_unusable(id, j)
    redis.call('ZREM', k_lease, id)
  end
end
redis.call('LTRIM', k_held, #ids, -1)
local code = 'AGAIN'
if redis.call('EXISTS', k_held) == 0 then
  code = 'OK'
  redis.call('HDEL', k_incarnations, a_incarnation)
  redis.call('HDEL', k_groups, a_incarnation)
end
redis.call('ZREM', k_idle, a_name .. ' ' .. a_incarnation)
if redis.call('HGET', k_actor, 'incarnation') == a_incarnation then
  redis.call('DEL', k_actor, k_wake)
end
local handed = serve(100)
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
