-- USE alone
-- Jobs for the caller: what it has in hand and does not know of, then the next of the queue.
local me = a_name .. ' ' .. a_incarnation

local hand_has = 0 -- how many jobs the caller has in hand beside new
local full = false -- it is to get no more, whatever its slots say

-- Up to room jobs of the queue go into the answer and into new. Returns the code.
local function take(answer, new, room)
  local code = 'JOB'
  while #new < room do
    local id, j = next_ready(room - #new)
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

-- Jobs for a caller of one type.
local function take_own(answer, new, room)
  look()
  if suspects then
    rare.alone_first(answer, new)
    if full then
      return 'JOB'
    end
  end
  return take(answer, new, room)
end

-- RARE
-- One that runs alone, for an empty hand; or the caller is the one that gets no more until its own is empty.
function rare.alone_first(answer, new)
  look()
  if not suspects then
    return
  end
  if hand_has > 0 then
    full = rare.clears(me) == me
    return
  end
  local id, j = rare.next_suspect()
  if id then
    local attempt = start(id, j, a_name, a_incarnation)
    rare.runs_alone(id, a_name)
    new[1] = id
    hand(answer, id, j, attempt, '0')
    full = true
  end
end

-- A job that is returned by call must not come once more by message.
local function forget_messages()
  for _, m in ipairs(redis.call('LRANGE', k_wake, 0, 199)) do
    if string.find(m, '"kind":"job"', 1, true) then
      redis.call('LREM', k_wake, 1, m)
    end
  end
end

function rare.hand_again(answer, id, j)
  local attempt = j.attempt
  if j.epoch ~= a_epoch then -- in hand since before a rebuild: a new attempt of this epoch
    attempt = start(id, j, a_name, a_incarnation)
  end
  hand(answer, id, j, attempt, '1')
end

-- All that is in hand goes into the answer: the caller knows which of it it runs. Ids that are its own no more are
-- dropped. Returns how many are in hand.
function rare.in_hand(answer)
  local found, lost = 0, {}
  for _, id in ipairs(redis.call('LRANGE', k_held, 0, 999)) do
    local j = read(id)
    if j.script and j.status == 'started' and j.holder == a_incarnation then
      rare.as_type(many and redis.call('HGET', job_key(id), 'type'), rare.hand_again, answer, id, j)
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

-- Whose turn it is. Each type has a pass, which grows by lcm(1..20) / weight with each job of it, and the lowest is served
-- (stride scheduling, Waldspurger 1995). One that had nothing waiting when it was its turn comes right behind the one that
-- was served instead, so it has no credit for that time. Between two jobs of a type that has some waiting, another one is served at most
-- weight of the other / its own times, rounded up: with equal weights each once.
function rare.take_turns(answer, new, room)
  local all, places, passes = {}, {}, {}
  for pass in string.gmatch(redis.call('HGET', k_actor, 'turns') or '', '%d+') do
    passes[#passes + 1] = tonumber(pass)
  end
  for t, weight in string.gmatch(many, '(%S+):(%d+)') do
    local place = #all + 1
    all[place] = { type = t, place = place, stride = 232792560 / weight, pass = passes[place] or 0 }
    places[place] = all[place]
  end
  for _, t in ipairs(places) do
    rare.as_type(t.type, rare.alone_first, answer, new)
    if full then
      return 'JOB'
    end
  end
  local code = 'IDLE'
  repeat
    table.sort(all, function(a, b)
      return a.pass < b.pass or a.pass == b.pass and a.place < b.place
    end)
    local had, again = #new, false
    for turn, t in ipairs(all) do
      again = rare.as_type(t.type, take, answer, new, had + 1) == 'AGAIN' or again
      if #new > had then
        for skipped = 1, turn - 1 do
          all[skipped].pass = t.pass + 1
        end
        t.pass = t.pass + t.stride
        break
      end
    end
    if #new == had then
      code = again and 'AGAIN' or 'IDLE'
    elseif #new == room then
      code = 'JOB'
    end
  until #new == had or #new == room
  if #new > 0 then
    local least, text = math.huge, {}
    for _, t in ipairs(places) do
      least = math.min(least, t.pass)
    end
    for i, t in ipairs(places) do
      text[i] = string.format('%d', t.pass - least)
    end
    redis.call('HSET', k_actor, 'turns', table.concat(text, ' '))
  end
  return code
end
