-- RARE
-- An actor that dies with several jobs in hand accuses them all, and one at most did it. The first such death of a job is not
-- counted; it is marked (opts: a), and from then on waits in alone:<type> for a hand that has nothing else: its next death is
-- its own. An actor with an empty hand takes those first, and nothing beside one. Where there is none, one actor takes no more
-- until its hand is empty: clearing:<type> names it.
-- The next that may run, at the right end of its list.
function rare.next_suspect()
  for _ = 1, 100 do
    local id = redis.call('LINDEX', alone(), -1)
    if not id then
      rare.none_alone()
      return nil
    end
    local j = read(id)
    if not j.script then
      rare.bury_unusable(id, j)
    elseif waits(id, j) then
      return id, j
    end
    redis.call('RPOP', alone())
  end
end

-- It went into a hand. inc's actor is full while it has it.
function rare.runs_alone(id, name)
  redis.call('RPOP', alone())
  redis.call('HSET', c_prefix .. ':actor:' .. name, 'alone', id)
  if redis.call('EXISTS', alone()) == 0 then
    rare.none_alone()
  end
end

-- Who clears its hand: member from now on, if nobody does who has something in it. (One with an empty hand took none, when it could.)
function rare.clears(member)
  local who = redis.call('GET', clearing())
  local name, inc = string.match(who or '', '^(%S+) (%S+)$')
  if name and who ~= member then
    local a = redis.call('HMGET', c_prefix .. ':actor:' .. name, 'gate', 'incarnation')
    if a[1] == 'open' and a[2] == inc and redis.call('EXISTS', c_prefix .. ':held:' .. inc) == 1 then
      return who
    end
  end
  if who ~= member then
    redis.call('SET', clearing(), member)
  end
  return member
end
