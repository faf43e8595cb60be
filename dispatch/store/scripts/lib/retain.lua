-- RARE
-- Records of ended jobs are kept for a time and in a number. The list done has them in the order of their
-- ends, as "<sequence> <id>"; what is over the number goes, two for each that comes, so that a lowered one is reached too. A job that
-- was revived since carries another sequence and stays.
function rare.retain(entries)
  local done = c_prefix .. ':done'
  for i = 1, #entries, 100 do -- each command has as many arguments at most, or twice as many
    local some = { unpack(entries, i, math.min(i + 99, #entries)) }
    local over = redis.call('RPUSH', done, unpack(some)) - c_done
    local olds, gone = over > 0 and redis.call('LPOP', done, math.min(over, 2 * #some)) or {}, {}
    for _, entry in ipairs(olds) do
      local sequence, id = string.match(entry, '^(%S+) (.+)$')
      if id then
        local key = c_prefix .. ':job:' .. id
        local f = redis.pcall('HMGET', key, 'status', 'sequence', 'opts')
        local awaited = f[3] and string.find(' ' .. f[3] .. ' ', ' u ', 1, true) -- others wait for it: it goes when none does
        if (f[1] == 'finished' or f[1] == 'error') and (f[2] or '0') == sequence and not awaited then
          gone[#gone + 1], gone[#gone + 2] = key, c_prefix .. ':q:reply:' .. id
        end
      end
    end
    if gone[1] then
      redis.call('UNLINK', unpack(gone))
    end
  end
end

-- The result of a job that is not dead may be kept for a shorter time than its record: by the setting, or the job's own word (opts: k, in ms). Then it stands in
-- results, as "<sequence> <id>" by the ms at which it goes, the first of them before its time if there are more than records. For ten seconds
-- it is there in any case, for those that wait.
function rare.keep_result(id, sequence, opts)
  local for_ms = tonumber(opts and string.match(' ' .. opts, ' k(%d+)') or c_result)
  if for_ms and for_ms < c_keep * 1000 then
    redis.call('ZADD', c_prefix .. ':results', string.format('%d', now + math.max(for_ms, 10000)),
      string.rep('0', 20 - #sequence) .. sequence .. ' ' .. id) -- of one ms in the log's order
    local over = redis.call('ZCARD', c_prefix .. ':results') - c_done
    for _, old in ipairs(over > 0 and redis.call('ZRANGE', c_prefix .. ':results', '0', over < 2 and '0' or '1') or {}) do
      rare.forget_result(old)
    end
  end
end

function rare.forget_result(old)
  local sequence, id = string.match(old, '^0*(%d+) (.+)$')
  local key = c_prefix .. ':job:' .. id
  local f = redis.pcall('HMGET', key, 'status', 'sequence')
  if (f[1] == 'finished' or f[1] == 'error') and (f[2] or '0') == sequence then
    redis.call('HSET', key, 'forgotten', now)
    redis.call('HDEL', key, 'output', 'error')
    redis.call('UNLINK', c_prefix .. ':q:reply:' .. id)
  end
  redis.call('ZREM', c_prefix .. ':results', old)
end
