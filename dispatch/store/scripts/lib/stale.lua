-- USE fact
-- RARE
-- The end of an attempt that holds its job no more (or whose record is gone) changes nothing, and is told: 20 a second. Those
-- over it are counted, and the next that is told says how many.
function rare.stale(id, status, attempt, code)
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
