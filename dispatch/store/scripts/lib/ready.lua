-- What is served next: the right end of the queue, looked at before it is taken. next_ready() gives the next id and
-- its record; taken() says that it went into a hand; trim_queue() then drops from the queue what was taken, and what
-- was found spent (ended, cancelled, pushed twice) or unusable on the way, at most 100 of those a call.
local ahead, used = {}, 0 -- the queue's right end, served from its own right end, and how many of it are used up
local spare = 100

local function trim_queue()
  if used > 0 then
    redis.call('LTRIM', k_queue, '0', -used - 1)
    ahead, used = {}, 0
  end
end

-- most: how many will be asked for, so that the queue is read once.
local function next_ready(most)
  while spare > 0 do
    local id = ahead[#ahead - used]
    if not id then
      trim_queue()
      ahead = redis.call('LRANGE', k_queue, most and -most or '-1', '-1')
      id = ahead[#ahead]
      if not id then
        return nil
      end
    end
    local j = read(id)
    if not j.script then
      bury_unusable(id, j)
    elseif not j.ended and j.holder == '' then
      return id, j
    end
    used = used + 1
    spare = spare - 1
  end
  return nil, 'AGAIN'
end

local function taken()
  used = used + 1
end
