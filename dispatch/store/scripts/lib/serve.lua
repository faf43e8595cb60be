-- USE alone
-- RARE
-- Hand-over: while there is a job and an actor with an idle slot, the one that had work last gets the oldest job (so
-- work gathers in as few actors as it needs, and the others become idle for long enough to be stopped),
-- claimed on its behalf, and its wake list gets all it needs to run it.
-- Who stands among the idle at a place, if it may have a job: its slots that are free, and how many it has in hand.
local function idle_one(member)
  local name, inc = string.match(member, '^(%S+) (%S+)$')
  if not name then
    return nil
  end
  local a = redis.call('HMGET', c_prefix .. ':actor:' .. name, 'gate', 'incarnation', 'type', 'slots', 'types')
  if a[1] ~= 'open' or a[2] ~= inc or a[3] ~= a_type and not rare.serves(a[5]) then
    return nil
  end
  local held = redis.call('LLEN', c_prefix .. ':held:' .. inc)
  if a[4] and a[4] - held <= 0 then
    return nil
  end
  return { member = member, name = name, inc = inc, held = held, room = (a[4] or 1) - held, home = a[3], types = a[5] }
end

local function leaves_idle(who)
  redis.call('ZREM', k_idle, who.member)
  if who.types then
    rare.stand(who.types, who.member, false)
  end
end

local function next_idle()
  for _ = 1, 100 do
    local member = redis.call('ZREVRANGE', k_idle, '0', '0')[1]
    if not member then
      return nil
    end
    local who = idle_one(member)
    if who and who.room > 0 then
      return who
    end
    redis.call('ZREM', k_idle, member) -- gone, closed, full, or another life of that name
  end
end

local function give(id, j, who, handed)
  local attempt = start(id, j, who.name, who.inc)
  if redis.call('RPUSH', c_prefix .. ':held:' .. who.inc, id) == 1 then
    redis.call('ZADD', c_prefix .. ':lease:' .. who.home, 'GT', now, who.inc) -- nothing was in hand, so nothing was renewed
  end
  redis.call('RPUSH', c_prefix .. ':wake:' .. who.name, cjson.encode({
    v = 1, kind = 'job', id = id, type = a_type, script = j.script, env = j.env, timeout = j.timeout,
    caller = j.caller, context = j.context, attempt = attempt, epoch = a_epoch, incarnation = who.inc,
  }))
  handed[#handed + 1] = { id = id, actor = who.name, incarnation = who.inc }
end

-- Jobs that run alone, to empty hands. If there is none, one of the idle empties its own.
local function give_alone(limit, handed)
  local clears
  for _, member in ipairs(redis.call('ZREVRANGE', k_idle, '0', '99')) do
    local id, j = rare.next_suspect()
    if not id or #handed >= limit then
      return
    end
    local who = idle_one(member)
    if who and who.held == 0 then
      give(id, j, who, handed)
      rare.runs_alone(id, who.name)
      leaves_idle(who)
    else
      clears = clears or who
    end
  end
  if clears and suspects and rare.clears(clears.member) == clears.member then
    leaves_idle(clears)
  end
end

function rare.serve(limit, handed)
  handed = handed or {}
  limit = limit + #handed
  if redis.call('EXISTS', k_idle) == 1 then
    look()
    if suspects then
      give_alone(limit, handed)
    end
  end
  while #handed < limit and redis.call('EXISTS', k_idle) == 1 do
    local id, j = next_ready()
    if not id then
      break
    end
    local who = next_idle()
    if not who then
      break
    end
    give(id, j, who, handed)
    taken()
    if who.room > 1 then
      redis.call('ZADD', k_idle, now, who.member) -- the last that had work
    else
      leaves_idle(who)
    end
  end
  trim_queue()
  return handed
end

-- The same for the types that ends have given something to, until none has: a late job that ends on its way may release one
-- of a type that was served before, the script's own among them.
function rare.serve_others(handed)
  while next(touched) do
    local types = touched
    touched = {}
    for t in pairs(types) do
      rare.as_type(t, rare.serve, 100, handed)
    end
  end
end
