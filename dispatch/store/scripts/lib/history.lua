-- USE text
-- RARE
-- The end of a text; not cut through a character.
local function last(text, most)
  return (string.gsub(string.sub(text, -most), '^[\128-\191]+', '', #text > most and 1 or 0))
end

function rare.brief(reason)
  return first(reason, 256)
end

-- On which host an incarnation runs, as its hello said; it may not have.
function rare.host(inc)
  return string.match(redis.call('HGET', c_prefix .. ':incarnations', inc) or '', ' @(%S+)$')
end

-- What became of an attempt that was not the job's good end: the last ten are kept in the record, as JSON.
-- h: attempt actor incarnation host began ended outcome reason exit_code signal oom error, all text, absent if not known. error is what its
-- actor said, a script's standard error: the last 2 KiB are kept. All together has 32 KiB; over that the oldest errors go.
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
  h.reason = h.reason and rare.brief(h.reason)
  h.error = h.error and h.error ~= '' and last(h.error, 2048) or nil
  h.host = h.host or rare.host(h.incarnation)
  all[#all + 1] = h
  while #all > 10 do
    table.remove(all, 1)
  end
  text = cjson.encode(all)
  for _, old in ipairs(all) do
    if #text <= 32768 then
      break
    end
    old.error = nil
    text = cjson.encode(all)
  end
  redis.call('HSET', key, 'history', text)
end
