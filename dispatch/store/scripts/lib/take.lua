-- The next job for the caller: what it has in hand already, else the next of the queue.
local me = a_name .. ' ' .. a_incarnation

local function in_hand(id, j, attempt, held)
  return { 'JOB', held, id, j.script, j.env, j.timeout, j.caller, j.context, attempt }
end

-- A job that is returned by call must not come once more by message.
local function forget_messages()
  for _, m in ipairs(redis.call('LRANGE', k_wake, 0, 199)) do
    if string.find(m, '"kind":"job"', 1, true) then
      redis.call('LREM', k_wake, 1, m)
    end
  end
end

-- fresh: the caller has just ended what it held, so it holds nothing and does not stand among the idle.
local function take(gate, fresh)
  local dropped = false
  for _ = 1, 100 do
    local id = not fresh and redis.call('LINDEX', k_held, '0')
    if not id then
      break
    end
    local j = read(id)
    if j.script and j.status == 'started' and j.holder == a_incarnation then
      local attempt = j.attempt
      if j.epoch ~= a_epoch then -- in hand since before a rebuild: a new attempt of this epoch
        attempt = start(id, j, a_name, a_incarnation)
      end
      forget_messages()
      return in_hand(id, j, attempt, 1)
    end
    if not j.script then
      bury_unusable(id, j)
    end
    redis.call('LPOP', k_held)
    dropped = true
    if j.holder == '' then
      redis.call('ZREM', k_lease, id)
    end
  end
  if gate ~= 'open' then
    if dropped then -- no finish will say so
      fact('drained', '', '0', a_name, a_incarnation, '0')
    end
    return { 'CLOSED' }
  end
  local id, j = next_ready()
  if id then
    local attempt = start(id, j, a_name, a_incarnation)
    redis.call('LMOVE', k_queue, k_held, 'RIGHT', 'RIGHT')
    if not fresh then
      redis.call('ZREM', k_idle, me)
    end
    return in_hand(id, j, attempt, 0)
  end
  if j then
    return { j }
  end
  redis.call('ZADD', k_idle, 'NX', now, me) -- NX: who asks again stays the longest idle
  return { 'IDLE' }
end
