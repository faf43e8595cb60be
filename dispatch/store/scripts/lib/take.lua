-- Jobs for the caller: what it has in hand and does not know of, then the next of the queue.
local me = a_name .. ' ' .. a_incarnation

-- Up to room jobs of the queue go into the answer and into new. Returns the code.
local function take(answer, new, room)
  local code = 'JOB'
  while #new < room do
    local id, j = next_ready(room)
    if not id then
      code = j or 'IDLE'
      break
    end
    local attempt = start(id, j, a_name, a_incarnation)
    taken()
    new[#new + 1] = id
    hand(answer, id, j, attempt, '0')
  end
  trim_queue()
  return code
end

-- RARE
-- A job that is returned by call must not come once more by message.
local function forget_messages()
  for _, m in ipairs(redis.call('LRANGE', k_wake, 0, 199)) do
    if string.find(m, '"kind":"job"', 1, true) then
      redis.call('LREM', k_wake, 1, m)
    end
  end
end

-- All that is in hand goes into the answer: the caller knows which of it it runs. Ids that are its own no more are
-- dropped. Returns how many are in hand.
function rare.in_hand(answer)
  local found, lost = 0, {}
  for _, id in ipairs(redis.call('LRANGE', k_held, 0, 999)) do
    local j = read(id)
    if j.script and j.status == 'started' and j.holder == a_incarnation then
      local attempt = j.attempt
      if j.epoch ~= a_epoch then -- in hand since before a rebuild: a new attempt of this epoch
        attempt = start(id, j, a_name, a_incarnation)
      end
      hand(answer, id, j, attempt, '1')
      found = found + 1
    else
      if not j.script then
        rare.bury_unusable(id, j)
      end
      lost[#lost + 1] = id
    end
  end
  for _, id in ipairs(lost) do
    redis.call('LREM', k_held, 1, id)
  end
  if found > 0 then
    forget_messages()
  end
  return found
end
