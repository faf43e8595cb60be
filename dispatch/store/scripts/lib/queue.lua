-- Where a job waits for a hand: the type's list, or, of another level than 0, the zset prio:<type>. Its score is when the job
-- became ready less the head start of its level, so a higher level goes first and a lower one is overtaken only by
-- jobs that came at most so much later. next_ready compares the scores with the time of the list's head.
local function prio()
  return c_prefix .. ':prio:' .. a_type
end

-- The list of those that run alone: see alone.lua.
local function alone()
  return c_prefix .. ':alone:' .. a_type
end

local function clearing()
  return c_prefix .. ':clearing:' .. a_type
end

-- Asked once: most types have neither.
local function look()
  if levels == nil then
    local n = redis.call('EXISTS', prio(), alone())
    levels = n > 0 and redis.call('EXISTS', prio()) == 1
    suspects = n == 2 or n == 1 and not levels
  end
end

-- RARE
-- j: opts ready. back: it was in a hand; to the front, where its first time puts it.
function rare.enqueue(id, j, back)
  local first = j.ready
  if back then
    redis.call('HSETNX', job_key(id), 'first_ms', j.ready)
    first = redis.call('HGET', job_key(id), 'first_ms')
  end
  local head = j.opts and opt(j.opts, 'h')
  if j.opts and flag(j.opts, 'a') then
    redis.call(back and 'RPUSH' or 'LPUSH', alone(), id)
    levels = nil
  elseif head then
    redis.call('ZADD', prio(), string.format('%d', (tonumber(first) or now) - head), rare.member(id, j.opts))
    levels = nil
  else
    redis.call(back and 'RPUSH' or 'LPUSH', k_queue, id)
  end
end

-- A job that waits is taken from where it waits, unless that is a long list: claim skips it there.
function rare.unqueue(id, j)
  redis.call('ZREM', k_delayed, id)
  if j.opts then
    redis.call('ZREM', prio(), rare.member(id, j.opts))
    if redis.call('LREM', alone(), 0, id) > 0 and redis.call('EXISTS', alone()) == 0 then
      rare.none_alone()
    end
  end
  if redis.call('LLEN', k_queue) <= 1000 then
    redis.call('LREM', k_queue, 0, id)
  end
end

-- None runs alone any more: who cleared its hand for them takes jobs again, and is told so.
function rare.none_alone()
  suspects = false
  local name = string.match(redis.call('GET', clearing()) or '', '^%S+')
  if name then
    redis.call('DEL', clearing())
    local wake, ring = c_prefix .. ':wake:' .. name, '{"kind":"ring","v":1}'
    if redis.call('EXISTS', c_prefix .. ':actor:' .. name) == 1 and redis.call('LINDEX', wake, -1) ~= ring then
      redis.call('RPUSH', wake, ring)
    end
  end
end

function rare.waiting()
  return redis.call('LLEN', k_queue) + redis.call('ZCARD', prio()) + redis.call('LLEN', alone())
end

-- The place of a job of another level that goes before the list's head id, if there is one.
function rare.overtaker(id)
  local top = redis.call('ZRANGE', prio(), '0', '0', 'WITHSCORES')
  if not top[1] then
    levels = false
    return nil
  end
  if id then
    local f = redis.pcall('HMGET', job_key(id), 'first_ms', 'ready_ms', 'status')
    local since = not f.err and tonumber(f[1] or f[2] or '')
    if not since or since <= tonumber(top[2]) or f[3] ~= 'dispatched' then
      return nil -- also for one that is spent or was never seen: next_ready knows what to do with it
    end
  end
  return top[1]
end
