-- adrift: a job that should wait or be in a hand is in no list (deleted by hand, evicted): it is put back.
-- KEYS epoch facts ended dead queue idle lease job delayed incarnations
-- ARGV epoch type id age
-- USE epoch now stamp fact record opts type queue need end ready start serve
-- RETURNS NO_EPOCH | KEPT | OK
-- BOUND 1,000 ids of the queue are compared; 100 hand-overs, 100 spent ids
-- Younger than age ms: its script may be on the way. Put back although it was there, it is a spent id that is dropped.
local j = read(a_id)
local since = j.holder ~= '' and j.started or j.ready
if not j.script or j.ended or not tonumber(since) or tonumber(since) > now - a_age then
  return { 'KEPT' }
end
if j.status == 'started' and j.holder ~= '' then
  local held = c_prefix .. ':held:' .. j.holder
  if redis.call('LPOS', held, a_id) then
    return { 'KEPT' }
  end
  if redis.call('HEXISTS', k_incarnations, j.holder) == 1 then -- its hand: it gives it back, or its death does
    redis.call('RPUSH', held, a_id)
    return { 'OK' }
  end
  redis.call('HSET', k_job, 'status', 'dispatched', 'token', j.epoch .. ' ' .. j.attempt .. '  ' .. j.started .. ' ' .. j.actor,
    'ready_ms', now, 'updated_at', stamp())
  rare.enqueue(a_id, j, 'back')
  rare.fact('retried', a_id, j.sequence, j.actor, j.holder, j.attempt, 'crashes', '0', 'reason', 'in nobody\'s hand')
elseif j.status == 'dispatched' and j.holder == '' then
  if redis.call('ZSCORE', k_delayed, a_id) then
    return { 'KEPT' }
  end
  if j.opts and flag(j.opts, 'a') then
    if redis.call('LPOS', alone(), a_id) then
      return { 'KEPT' }
    end
  elseif j.opts and opt(j.opts, 'h') then
    if redis.call('ZSCORE', prio(), rare.member(a_id, j.opts)) then
      return { 'KEPT' }
    end
  elseif redis.call('LPOS', k_queue, a_id, 'RANK', -1, 'MAXLEN', 1000) then
    return { 'KEPT' }
  elseif redis.call('LLEN', k_queue) > 1000 then
    -- Served from the right, oldest first: one that is older than the head can not be behind it.
    local head = redis.pcall('HGET', job_key(redis.call('LINDEX', k_queue, -1)), 'ready_ms')
    if type(head) ~= 'string' or not tonumber(head) or tonumber(head) <= tonumber(j.ready) then
      return { 'KEPT' }
    end
  end
  redis.call('HSET', k_job, 'updated_at', stamp()) -- a first write that a full Redis refuses
  rare.enqueue(a_id, j, 'back')
else
  return { 'KEPT' }
end
rare.serve(100)
return { 'OK' }
