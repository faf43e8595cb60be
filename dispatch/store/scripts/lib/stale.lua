-- USE fact
-- RARE
-- The end of an attempt that holds its job no more (or whose record is gone) changes nothing, and is told: 20 a second. So is an attempt that a
-- rebuilt Redis does not go on with, without a status. Those
-- over it are counted, and the next that is told says how many. One that is said again, as its answer was lost, counts once: the last thousand are known.
local function staled(id, status, attempt)
  return a_epoch .. ' ' .. a_incarnation .. ' ' .. attempt .. ' ' .. status .. ' ' .. id
end

function rare.stale_before(id, status, attempt)
  return redis.call('ZSCORE', k_staled, staled(id, status, attempt))
end

function rare.stale(id, status, attempt, code)
  if redis.call('ZADD', k_staled, 'NX', now, staled(id, status, attempt)) == 0 then
    return
  end
  redis.call('ZREMRANGEBYRANK', k_staled, '0', '-1001')
  local second = string.sub(now, 1, -4)
  local f = redis.call('HMGET', k_stale, 'second', 'told', 'untold')
  local n = f[1] == second and tonumber(f[2]) or 0
  if n >= 20 then
    redis.call('HINCRBY', k_stale, 'untold', '1')
    return
  end
  redis.call('HSET', k_stale, 'second', second, 'told', string.format('%d', n + 1), 'untold', '0')
  rare.fact('stale', id, '0', a_name, a_incarnation, attempt, 'outcome', status,
    'reason', code == 'STALE' and 'superseded' or 'no record', 'untold', f[3] ~= '0' and f[3] or '')
end
