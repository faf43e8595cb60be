-- A record's field opts is what is rare about a job, as words; absent if nothing is: o<order> of its queuing, 20 digits,
-- p<level>, h<head start in ms> of that level, b<ms> it must begin by, d<ms> not before, n it had prerequisites, u others wait for it,
-- a it runs alone, k<ms> its result is kept.
local function opt(opts, letter)
  return string.match(' ' .. opts, ' ' .. letter .. '(%-?%d+)')
end

local function flag(opts, letter)
  return string.find(' ' .. opts .. ' ', ' ' .. letter .. ' ', 1, true)
end

-- RARE
-- Writes the record's opts without a word, and returns them.
function rare.unset(id, opts, letter)
  opts = string.gsub(' ' .. opts .. ' ', ' ' .. letter .. '%-?%d* ', ' ', 1)
  opts = string.match(opts, '^ *(.-) *$')
  if opts == '' then
    redis.call('HDEL', job_key(id), 'opts')
    return false
  end
  redis.call('HSET', job_key(id), 'opts', opts)
  return opts
end

-- A job with opts goes into a hand: its start-by is met, also for its next attempt.
function rare.begun(id, opts)
  if opt(opts, 'b') then
    redis.call('ZREM', c_prefix .. ':startby:' .. a_type, id)
    rare.unset(id, opts, 'b')
  end
end

-- How a job stands in a set whose scores are equal: in the order of the log.
function rare.member(id, opts)
  return (string.match(' ' .. opts, ' o(%d+)') or '') .. ' ' .. id
end
