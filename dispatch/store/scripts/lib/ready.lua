-- What is served next: the right end of the queue, or a job of another level that overtakes it, looked at before it is taken.
-- next_ready() gives the next id and its record; taken() says that it went into a hand; trim_queue() then drops from the
-- queue what was taken, and what was found spent (ended, cancelled, pushed twice), late or unusable on the way, at most
-- 100 of those a call.
local ahead, used = {}, 0 -- the queue's right end, served from its own right end, and how many of it are used up
local mark -- the place in prio:<type> of what next_ready gave; nil: it stands in the queue
local spare = 100

local function trim_queue()
  if used > 0 then
    redis.call('LTRIM', k_queue, '0', -used - 1)
  end
  ahead, used = {}, 0
end

local function taken()
  if mark then
    redis.call('ZREM', prio(), mark)
    mark = nil
  else
    used = used + 1
  end
end

-- Whether it may be run. One that is too late to begin ends here: no claim serves it.
local function waits(id, j)
  if j.ended or j.holder ~= '' or j.status == 'waiting_for_prerequisites' then
    return false
  end
  if j.opts and rare.late(j.opts) then
    rare.expire(id, j)
    return false
  end
  return true
end

-- most: how many will be asked for, so that the queue is read once.
local function next_ready(most)
  while spare > 0 do
    look() -- anew behind an end that released a job of another level
    local id = ahead[#ahead - used]
    if not id then
      trim_queue()
      ahead = redis.call('LRANGE', k_queue, most and -most or '-1', '-1')
      id = ahead[#ahead]
    end
    mark = levels and rare.overtaker(id) or nil
    if mark then
      id = string.match(mark, '^%d* (.+)$')
    end
    if not id then
      return nil
    end
    local j = read(id)
    if not j.script then
      rare.bury_unusable(id, j)
    elseif waits(id, j) then
      return id, j
    end
    taken()
    spare = spare - 1
  end
  return nil, 'AGAIN'
end
