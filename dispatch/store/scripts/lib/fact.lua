-- USE text
-- What the script tells the bus: lines, gathered and written when the script ends (the loader sees to that), since
-- an XADD costs as much as four lines. A line is "<kind> <job> <sequence> <attempt> [<name>=<value>]..."; before
-- the first, and where it changes, "@<type> <actor> <incarnation>" says who. The stream is capped: what must
-- not be lost is elsewhere.
local told, entries, tellers_name, tellers_inc, tellers_type = {}, {}, nil, nil, nil

local function tell(name, inc, line)
  if #told >= 30 then -- the cap counts entries: they are to be of a size
    entries[#entries + 1] = table.concat(told, '\n')
    told, tellers_inc = {}, nil
  end
  if inc ~= tellers_inc or name ~= tellers_name or a_type ~= tellers_type then
    told[#told + 1] = '@' .. a_type .. ' ' .. name .. ' ' .. inc
    tellers_name, tellers_inc, tellers_type = name, inc, a_type
  end
  told[#told + 1] = line
end

local function tell_all()
  if #told > 0 then
    entries[#entries + 1] = table.concat(told, '\n')
  end
  for _, text in ipairs(entries) do
    redis.call('XADD', k_facts, 'MAXLEN', '~', '5000', '*', 'f', text)
  end
end

-- RARE
-- Free text as one word: what splits words and lines is written as in a URL.
local function word(text)
  if string.find(text, '[%c %%]') then
    return (string.gsub(text, '[%c %%]', function(c) return string.format('%%%02X', string.byte(c)) end))
  end
  return text
end

-- A value may be what an actor said: of each the first KiB is told, or the bus would not take it.
function rare.fact(kind, id, sequence, name, inc, attempt, ...)
  local line = kind .. ' ' .. word(id) .. ' ' .. (sequence or '0') .. ' ' .. attempt
  local more = { ... }
  for i = 1, #more, 2 do
    if more[i + 1] ~= '' then
      line = line .. ' ' .. more[i] .. '=' .. word(first(more[i + 1], 1024))
    end
  end
  tell(name, inc, line)
end
