-- recover: what a dead incarnation held goes back, and its traces go.
-- KEYS epoch facts ended dead queue idle lease actor held wake incarnations groups
-- ARGV epoch type name incarnation interrupted max_crashes
-- USE epoch now stamp fact record opts type queue need end ready start serve
-- RETURNS NO_EPOCH | GONE | OK/AGAIN {id crashes dead actor}...
-- BOUND 100 held jobs (then AGAIN), 100 hand-overs, 100 spent ids
if redis.call('HGET', k_incarnations, a_incarnation) ~= a_name .. ' ' .. a_type then
  return { 'GONE' }
end
local ids = redis.call('LRANGE', k_held, 0, 99)
local back, forgotten = {}, {}
for i = #ids, 1, -1 do -- the oldest last: the right end is served next
  local id = ids[i]
  forgotten[#forgotten + 1] = a_incarnation .. ' ' .. id
  local j = read(id)
  if j.script and j.status == 'started' and j.holder == a_incarnation then
    local crashes = tonumber(redis.call('HGET', job_key(id), 'crashes') or '') or 0
    if a_interrupted ~= '1' then
      crashes = crashes + 1
    end
    local dead = a_interrupted ~= '1' and crashes >= tonumber(a_max_crashes)
    local crashes_text = string.format('%d', crashes)
    -- Nobody's token is good any more: the dead actor's last finish may still be on its way.
    redis.call('HSET', job_key(id), 'status', 'dispatched', 'token', j.epoch .. ' ' .. j.attempt .. '  ' .. j.started .. ' ' .. j.actor,
      'crashes', crashes_text, 'ready_ms', now, 'updated_at', stamp())
    if dead then
      end_job({ id = id, kind = 'dead', status = 'error', output = '', exit_code = '',
        error = 'its actor died ' .. crashes_text .. ' times while running it', reason = 'its actor died while running it',
        actor = a_name, holder = a_incarnation, attempt = j.attempt, sequence = j.sequence, opts = j.opts, crashes = crashes_text,
        started = j.started })
      bury(id)
    else
      enqueue(id, j, 'back')
      fact('retried', id, j.sequence, a_name, a_incarnation, j.attempt, 'crashes', crashes_text,
        'reason', a_interrupted == '1' and 'interrupted' or 'actor died')
    end
    table.insert(back, 1, { id, crashes_text, dead and 1 or 0, '' })
  elseif not j.script then
    bury_unusable(id, j)
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
local handed = serve(100)
serve_others()
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
