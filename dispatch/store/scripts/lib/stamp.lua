-- stamp() is now as Hero records write it: 2006-01-02T15:04:05.000Z. Made once, and of whole numbers made text by
-- concatenation: string.format costs more than most commands.
local stamped
local function stamp()
  if stamped then
    return stamped
  end
  local sec = clock[1] + 0
  local rest = sec % 86400
  -- Days to a civil date, counted from 1 March 0000 in eras of 400 years.
  local z = (sec - rest) / 86400 + 719468
  local doe = z % 146097
  local yoe = doe - (doe - doe % 1460) / 1460 + (doe - doe % 36524) / 36524 - (doe - doe % 146096) / 146096
  yoe = (yoe - yoe % 365) / 365
  local doy = doe - (365 * yoe + (yoe - yoe % 4) / 4 - (yoe - yoe % 100) / 100)
  local mp = (5 * doy + 2 - (5 * doy + 2) % 153) / 153
  local day = doy - (153 * mp + 2 - (153 * mp + 2) % 5) / 5 + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + (z - doe) / 146097 * 400 + (month <= 2 and 1 or 0)
  -- 1YYYYMMDD and 1HHMMSS, cut apart: two numbers become text and not six.
  local date = tostring(100000000 + year * 10000 + month * 100 + day)
  local minute = (rest - rest % 60) / 60
  local hour = (minute - minute % 60) / 60
  local time = tostring(1000000 + hour * 10000 + (minute % 60) * 100 + rest % 60)
  stamped = string.sub(date, 2, 5) .. '-' .. string.sub(date, 6, 7) .. '-' .. string.sub(date, 8, 9) .. 'T' ..
    string.sub(time, 2, 3) .. ':' .. string.sub(time, 4, 5) .. ':' .. string.sub(time, 6, 7) .. '.' .. string.sub(now, -3) .. 'Z'
  return stamped
end
