-- stamp() is now as Hero records write it: 2006-01-02T15:04:05.000Z. Made once, and without string.format,
-- which costs more than most commands.
local stamped
local function stamp()
  if stamped then
    return stamped
  end
  local digits = '0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849' ..
    '5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899'
  local function two(n) return string.sub(digits, n * 2 + 1, n * 2 + 2) end
  local function div(a, b) return (a - a % b) / b end
  local sec = clock[1] + 0
  local rest = sec % 86400
  -- Days to a civil date, counted from 1 March 0000 in eras of 400 years.
  local z = (sec - rest) / 86400 + 719468
  local doe = z % 146097
  local yoe = div(doe - div(doe, 1460) + div(doe, 36524) - div(doe, 146096), 365)
  local doy = doe - (365 * yoe + div(yoe, 4) - div(yoe, 100))
  local mp = div(5 * doy + 2, 153)
  local m = mp < 10 and mp + 3 or mp - 9
  local y = yoe + div(z, 146097) * 400 + (m <= 2 and 1 or 0)
  stamped = two(div(y, 100)) .. two(y % 100) .. '-' .. two(m) .. '-' .. two(doy - div(153 * mp + 2, 5) + 1) ..
    'T' .. two(div(rest, 3600)) .. ':' .. two(div(rest % 3600, 60)) .. ':' .. two(rest % 60) .. '.' .. string.sub(now, -3) .. 'Z'
  return stamped
end
