-- RARE
-- What became of an attempt that was not the job's good end: the last ten are kept in the record, as JSON.
-- h: attempt actor incarnation began ended outcome reason exit_code signal oom, all text, absent if not known
function rare.remember(id, h)
  local key = c_prefix .. ':job:' .. id
  local all = {}
  local text = redis.call('HGET', key, 'history')
  if text then
    local ok, was = pcall(cjson.decode, text)
    if ok and type(was) == 'table' then
      all = was
    end
  end
  all[#all + 1] = h
  while #all > 10 do
    table.remove(all, 1)
  end
  redis.call('HSET', key, 'history', cjson.encode(all))
end
