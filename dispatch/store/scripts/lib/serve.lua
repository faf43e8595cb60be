-- RARE
-- Hand-over: while there is a job and an actor with an idle slot, the one that had work last gets the oldest job (so
-- work gathers in as few actors as it needs, and the others become idle for long enough to be stopped),
-- claimed on its behalf, and its wake list gets all it needs to run it.
local function next_idle()
  for _ = 1, 100 do
    local member = redis.call('ZREVRANGE', k_idle, '0', '0')[1]
    if not member then
      return nil
    end
    local name, inc = string.match(member, '^(%S+) (%S+)$')
    if name then
      local a = redis.call('HMGET', c_prefix .. ':actor:' .. name, 'gate', 'incarnation', 'type', 'slots', 'types')
      if a[1] == 'open' and a[2] == inc and (a[3] == a_type or rare.serves(a[5])) then
        local room = (a[4] or 1) - redis.call('LLEN', c_prefix .. ':held:' .. inc)
        if room > 0 then
          return member, name, inc, room, a[3], a[5]
        end
      end
    end
    redis.call('ZREM', k_idle, member) -- gone, closed, full, or another life of that name
  end
end

function rare.serve(limit, handed)
  handed = handed or {}
  limit = limit + #handed
  while #handed < limit and redis.call('EXISTS', k_idle) == 1 do
    local id, j = next_ready()
    if not id then
      break
    end
    local member, name, inc, room, home, types = next_idle()
    if not member then
      break
    end
    local attempt = start(id, j, name, inc)
    taken()
    if redis.call('RPUSH', c_prefix .. ':held:' .. inc, id) == 1 then
      redis.call('ZADD', c_prefix .. ':lease:' .. home, 'GT', now, inc) -- nothing was in hand, so nothing was renewed
    end
    if room > 1 then
      redis.call('ZADD', k_idle, now, member) -- the last that had work
    else
      redis.call('ZREM', k_idle, member)
      if types then
        rare.stand(types, member, false)
      end
    end
    redis.call('RPUSH', c_prefix .. ':wake:' .. name, cjson.encode({
      v = 1, kind = 'job', id = id, type = a_type, script = j.script, env = j.env, timeout = j.timeout,
      caller = j.caller, context = j.context, attempt = attempt, epoch = a_epoch, incarnation = inc,
    }))
    handed[#handed + 1] = { id = id, actor = name, incarnation = inc }
  end
  trim_queue()
  return handed
end

-- The same for the types that ends of this script's type have given something to.
function rare.serve_others(handed)
  for t in pairs(touched) do
    rare.as_type(t, rare.serve, 100, handed)
  end
end
