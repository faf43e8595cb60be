-- exchange: an actor tells which of its jobs ended, and gets its next ones.
-- FIXED epoch facts ended dead groups stale staled
-- KEYS queue idle actor held wake lease
-- ARGV epoch type name incarnation slots known want
-- USE epoch now stamp fact record fence opts type queue need end retry stale ready start serve take
-- RETURNS NO_EPOCH | UNREGISTERED/NOT_WANTED/CLOSED/IDLE/AGAIN/JOB told {head script [env caller context [type]]}...
-- BOUND 100 ends, 100 jobs, 1,000 in hand, 100 spent ids, 200 wake messages, 100 hand-overs
-- More ARGV: for each end "<attempt> <status> <exit code or -> <id>", status with ":<type>" if that is not the actor's own, and the output, with the status error
-- also the error, the reason and a number from 0 to 1, by which the pause before a retry is drawn.
-- told has a letter for each: O for OK (also when it was told before), S for STALE, U for UNKNOWN; those two are told to people.
-- known is how many jobs the caller knows to be in its hand beside those, -1 while it listens to its wake list or has another call under way: if
-- there are more, they all come. IDLE: it stands among the idle. JOB: it has all it wanted, or its hand is full.

-- Ids leave the hand: most often they are its oldest, and go by one cut.
local function let_go(ids)
  local mine, oldest = {}, 0
  if #ids > 2 then
    for _, id in ipairs(ids) do
      mine[id] = true
    end
    for _, id in ipairs(redis.call('LRANGE', k_held, '0', #ids - 1)) do
      oldest = oldest + (mine[id] and 1 or 0)
      mine[id] = nil
    end
  end
  if oldest > 0 and oldest == #ids then
    redis.call('LTRIM', k_held, oldest, '-1')
  else
    for _, id in ipairs(ids) do
      redis.call('LREM', k_held, 1, id)
    end
  end
end

local told, ended, forgotten = '', {}, {}
local i = 8
while ARGV[i] do
  local attempt, status, of, exit_code, id = string.match(ARGV[i], '^(%S+) (%a+):?(%S*) (%S+) (.+)$')
  local output, error, reason, jitter = ARGV[i + 1], '', '', '0'
  i = i + 2
  if status == 'error' then
    error, reason, jitter = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    i = i + 3
  end
  local code, now_status, sequence, started, opts = fence(job_key(id), a_epoch .. ' ' .. attempt .. ' ' .. a_incarnation .. ' ')
  if code == 'STALE' and rare.told_before(id, attempt) then
    code = 'OK'
  end
  told = told .. string.sub(code, 1, 1)
  if code ~= 'OK' then
    rare.as_type(of, rare.stale, id, status, attempt, code)
  end
  if now_status == 'started' then
    local e = { id = id, kind = 'ended', status = status, output = output, error = error, reason = reason,
      exit_code = exit_code == '-' and '' or exit_code, actor = a_name, holder = a_incarnation, attempt = attempt,
      sequence = sequence, started = started, opts = opts }
    if of == '' then
      attempt_ended(e, jitter)
    else
      rare.for_type(of, attempt_ended, e, jitter)
    end
    ended[#ended + 1] = id
    forgotten[#forgotten + 1] = a_incarnation .. ' ' .. id
  end
end

local a = redis.call('HMGET', k_actor, 'incarnation', 'gate', 'types', 'alone')
local mine, open = a[1] == a_incarnation, a[2] == 'open'
local had = redis.call('LLEN', k_held)
local held = had - #ended
local code, answer, new = 'UNREGISTERED', { '', told }, {}
if mine then
  many = a[3] or nil
  local dropped = false
  if held > tonumber(a_known) and a_known ~= '-1' then
    let_go(ended) -- first, or they would count as lost
    ended = {}
    local found = rare.in_hand(answer)
    dropped, held = found < held, found
  end
  local room = a_slots - held
  if a[4] and held > 0 then
    room = 0
  elseif a[4] then
    redis.call('HDEL', k_actor, 'alone')
  end
  hand_has = held
  if a_want - room < 0 then
    room = tonumber(a_want)
  end
  if a_want == '0' then
    code = 'NOT_WANTED'
  elseif not open then
    code = 'CLOSED'
  elseif room <= 0 then
    code = 'JOB'
  else
    code = (many and rare.take_turns or take_own)(answer, new, room)
  end
  if #new > 0 then
    redis.call('RPUSH', k_held, unpack(new))
    held = held + #new
  end
  if code == 'IDLE' then
    redis.call('ZADD', k_idle, 'NX', now, me) -- NX: who asks again has had no work since
  elseif had - a_slots < 0 then -- it may stand among them
    redis.call('ZREM', k_idle, me)
  end
  if many and (code == 'IDLE' or had - a_slots < 0) then
    rare.stand(many, me, code == 'IDLE')
  end
  if held > 0 and (had == 0 or dropped) then
    redis.call('ZADD', k_lease, 'GT', now, a_incarnation)
  end
  if not open and held == 0 and (#forgotten > 0 or dropped) then
    rare.fact('drained', '', '0', a_name, a_incarnation, '0')
  end
  if i == 8 and #new == 0 then
    redis.call('HSET', k_actor, 'seen_ms', now)
  end
end
let_go(ended) -- last: a list that does not become empty need not be made anew
if #forgotten > 0 and redis.call('EXISTS', k_groups) == 1 then
  redis.call('HDEL', k_groups, unpack(forgotten))
end
if code ~= 'IDLE' and redis.call('EXISTS', k_idle) == 1 then
  rare.serve(100) -- a backlog beside idle actors: a push that told nobody
end
if next(touched) then
  rare.serve_others()
end
answer[1] = code
return answer
