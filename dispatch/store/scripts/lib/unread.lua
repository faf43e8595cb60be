-- USE fence
-- RARE
-- Jobs that were handed to a process by a message that it never took: it did not run them, so its death is not their crash.
-- Their records say so, since the list of messages goes with the process.
function rare.unread()
  for _, m in ipairs(redis.call('LRANGE', k_wake, 0, 999)) do
    if string.find(m, '"kind":"job"', 1, true) then
      local ok, w = pcall(cjson.decode, m)
      if ok and type(w.id) == 'string' then
        local key = c_prefix .. ':job:' .. w.id
        local holder = w.attempt .. ' ' .. w.incarnation
        if fence(key, w.epoch .. ' ' .. holder .. ' ') == 'OK' then
          redis.call('HSET', key, 'unread', holder)
        end
      end
    end
  end
end
