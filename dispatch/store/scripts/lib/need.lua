-- Prerequisites. need:<id> is a hash of what a job waits for still, each with its rule; unlocks:<id> a zset of who waits for
-- it, of equal score and so in the order of the log; score 1: a bad end came, and that job holds. An edge is
-- gone when its field in need is: what then still stands in unlocks is skipped.
-- RARE
local edges = 500 -- looked at by one script, a failed job counting as five; the rest is left to promote
local ends = nil -- jobs whose edges are to be looked at, while that is being done

-- Nobody waits for it any more: from now on its record may expire, if its message has left the log.
local function unlocked(id, opts)
  rare.unset(id, opts, 'u')
  local f = redis.call('HMGET', job_key(id), 'status', 'sequence', 'settled')
  if (f[1] == 'finished' or f[1] == 'error') and (f[3] or not f[2] or f[2] == '0') then
    redis.call('EXPIRE', job_key(id), c_keep)
  end
end

local function ready(id, sequence, opts)
  local due = opts and opt(opts, 'd')
  local later = due and tonumber(due) > tonumber(now)
  redis.call('HSET', job_key(id), 'status', 'dispatched', 'ready_ms', later and due or now, 'updated_at', stamp())
  if later then
    redis.call('ZADD', c_prefix .. ':delayed:' .. a_type, due, id)
  else
    rare.enqueue(id, { opts = opts, ready = now })
  end
  rare.fact('released', id, sequence, '', '', '0', 'ready', rare.waiting(), 'until', later and due or '')
end

local function fail(id, f, by)
  edges = edges - 4
  rare.end_unrun(id, { attempt = string.match(f[4] or '', '^%d+ (%d+) ') or '0', sequence = f[3], opts = f[5] },
    'prerequisite ' .. by, 'its prerequisite ' .. by .. ' did not finish')
end

-- One edge: id waited for by, which has ended.
local function edge(id, by, good, place, unlocks)
  local need = c_prefix .. ':need:' .. id
  local rule = redis.call('HGET', need, by)
  if rule == 'hold' and not good then
    redis.call('ZADD', unlocks, '1', place)
    return
  end
  if rule then
    local f = redis.call('HMGET', job_key(id), 'status', 'type', 'sequence', 'token', 'opts')
    if good or rule == 'run' then
      redis.call('HDEL', need, by)
      if f[1] == 'waiting_for_prerequisites' and redis.call('EXISTS', need) == 0 then
        rare.for_type(f[2], ready, id, f[3], f[5])
      end
    elseif f[1] == 'waiting_for_prerequisites' then
      rare.for_type(f[2], fail, id, f, by)
    end
  end
  redis.call('ZREM', unlocks, place)
end

-- What a job's end means to those that wait for it. All or nothing is not promised: what is over the bound
-- stands in delayed:<type> as ">" and the ended id, and promote goes on with it.
function rare.release(id, opts, good)
  if ends then
    ends[#ends + 1] = { id, opts, good, a_type } -- one of them failed by it: its own are looked at below
    return
  end
  ends = { { id, opts, good, a_type } }
  local i = 1
  while ends[i] do
    local by, was, well, of = ends[i][1], ends[i][2], ends[i][3], ends[i][4]
    local unlocks = c_prefix .. ':unlocks:' .. by
    local some
    repeat
      some = edges > 0 and redis.call('ZRANGEBYSCORE', unlocks, '0', well and '1' or '0', 'LIMIT', '0', math.min(edges, 100)) or {}
      for _, place in ipairs(some) do
        edges = edges - 1
        edge(string.match(place, '^%d* (.+)$'), by, well, place, unlocks)
      end
    until #some == 0
    if redis.call('EXISTS', unlocks) == 0 then
      if was then
        unlocked(by, was)
      end
    elseif #redis.call('ZRANGEBYSCORE', unlocks, '0', well and '1' or '0', 'LIMIT', '0', '1') > 0 then
      redis.call('ZADD', c_prefix .. ':delayed:' .. of, now, '>' .. by)
      rare.fact('more', by, '0', '', '', '0')
    end
    i = i + 1
  end
  ends = nil
end

-- A job that ends needs nothing any more. Edges to jobs that will end are skipped when they do; a held one is
-- taken out, because it alone may keep its prerequisite's record.
local function forget_needs(id, opts)
  local need = c_prefix .. ':need:' .. id
  local all = redis.call('HGETALL', need)
  for i = 1, #all, 2 do
    if all[i + 1] == 'hold' then
      local unlocks = c_prefix .. ':unlocks:' .. all[i]
      if redis.call('ZREM', unlocks, rare.member(id, opts)) == 1 and redis.call('EXISTS', unlocks) == 0 then
        local theirs = redis.call('HGET', job_key(all[i]), 'opts')
        if theirs and flag(theirs, 'u') then
          unlocked(all[i], theirs)
        end
      end
      edges = edges - 1
    end
  end
  redis.call('DEL', need)
end

-- What the end of a job with opts brings beside its record.
function rare.after_end(id, opts, good)
  if good and flag(opts, 'a') then -- it kills nobody; if it is run again by hand, not alone
    opts = rare.unset(id, opts, 'a') or ''
  end
  if opt(opts, 'b') then
    redis.call('ZREM', c_prefix .. ':startby:' .. a_type, id)
    opts = rare.unset(id, opts, 'b') or '' -- one that is run again by hand is not late
  end
  if opt(opts, 'h') then
    redis.call('ZREM', prio(), rare.member(id, opts))
  end
  if flag(opts, 'n') then
    forget_needs(id, opts)
  end
  if flag(opts, 'u') then
    rare.release(id, opts, good)
  end
end

-- text: "<id> <rule> ..." of a job to be. What is open, the first that failed it, the first that nobody knows.
function rare.look_at_needs(text, refilled)
  local open, failed = {}, nil
  for p, rule in string.gmatch(text, '(%S+) (%S+)') do
    local f = redis.pcall('HMGET', job_key(p), 'status', 'opts', 'script')
    local status = not f.err and string.lower(f[1] or '') or ''
    if f.err or not f[1] and not f[3] then
      if not refilled then
        return open, failed, p
      end -- it ended, was settled and forgotten
    elseif status == 'error' and rule == 'fail' then
      failed = failed or p
    elseif status ~= 'finished' and (status ~= 'error' or rule == 'hold') then
      open[#open + 1] = { p, rule, status == 'error' and '1' or '0', f[2] }
    end
  end
  return open, failed
end

function rare.wait_for(id, opts, open)
  for _, o in ipairs(open) do
    redis.call('HSET', c_prefix .. ':need:' .. id, o[1], o[2])
    redis.call('ZADD', c_prefix .. ':unlocks:' .. o[1], o[3], rare.member(id, opts))
    if not o[4] or not flag(o[4], 'u') then
      redis.call('HSET', job_key(o[1]), 'opts', o[4] and o[4] .. ' u' or 'u')
    end
    if o[3] == '1' and redis.call('PERSIST', job_key(o[1])) == 1 then
      redis.call('HSET', job_key(o[1]), 'settled', '1') -- expires when nobody waits for it any more
    end
  end
end
