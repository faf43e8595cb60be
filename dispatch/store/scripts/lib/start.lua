-- A job goes into a hand; the caller then moves its id into held. First write: HSET, which a full Redis
-- refuses, so nothing was taken from anywhere by then. Returns the attempt, as text.
local function start(id, j, name, inc)
  local attempt = j.attempt == '0' and '1' or string.format('%d', j.attempt + 1)
  local token = a_epoch .. ' ' .. attempt .. ' ' .. inc
  if j.type then
    redis.call('HSET', job_key(id), 'status', 'started', 'token', token, 'actor', name,
      'started_ms', now, 'updated_at', stamp())
  else -- pushed by others, and never seen before
    redis.call('HSETNX', job_key(id), 'script_type', a_type) -- original supervisors leave it to the queue's name
    redis.call('HSET', job_key(id), 'status', 'started', 'token', token, 'actor', name,
      'started_ms', now, 'updated_at', stamp(), 'type', a_type, 'v', '1')
  end
  redis.call('ZADD', k_lease, now, id)
  fact('started', id, j.sequence, name, inc, attempt, 'timeout', j.timeout, 'since', j.ready)
  return attempt
end

-- The next id to serve and its record, peeked: the right end of the queue. Spent ids
-- (ended, cancelled, pushed twice) and unusable ones are dropped on the way, 100 a call.
local spare = 100
local function next_ready()
  while spare > 0 do
    local id = redis.call('LINDEX', k_queue, '-1')
    if not id then
      return nil
    end
    local j = read(id)
    if not j.script then
      bury_unusable(id, j)
    elseif not j.ended and j.holder == '' then
      return id, j
    end
    redis.call('RPOP', k_queue)
    spare = spare - 1
  end
  return nil, 'AGAIN'
end
