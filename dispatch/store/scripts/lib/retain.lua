-- RARE
-- Records of ended jobs are kept for a time and in a number. The list done has them in the order of their
-- ends, as "<sequence> <id>"; what is over the number goes, two a call, so that a lowered one is reached too. A job that
-- was revived since carries another sequence and stays.
function rare.retain(id, sequence)
  local done = c_prefix .. ':done'
  local over = redis.call('RPUSH', done, sequence .. ' ' .. id) - c_done
  for _ = 1, over < 2 and over or 2 do
    local old_sequence, old = string.match(redis.call('LPOP', done) or '', '^(%S+) (.+)$')
    if old then
      local key = c_prefix .. ':job:' .. old
      local f = redis.pcall('HMGET', key, 'status', 'sequence', 'opts')
      local awaited = f[3] and string.find(' ' .. f[3] .. ' ', ' u ', 1, true) -- others wait for it: it goes when none does
      if (f[1] == 'finished' or f[1] == 'error') and (f[2] or '0') == old_sequence and not awaited then
        redis.call('UNLINK', key, c_prefix .. ':q:reply:' .. old)
      end
    end
  end
end
