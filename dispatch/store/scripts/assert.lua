-- assert: an actor says, after its hello to a new epoch, which jobs it holds since an earlier one: they stay in its hand.
-- FIXED facts stale staled
-- KEYS epoch actor held idle lease types dead asserted queue delayed
-- ARGV epoch type name incarnation slots done
-- USE epoch now stamp fact record order opts type queue stale
-- RETURNS NO_EPOCH | UNREGISTERED | OK told
-- BOUND 100 jobs; a queue of 1,000 is searched for each that waits there; in a longer one claim skips the id when it comes
-- More ARGV: for each job "<epoch> <attempt> <ms since it began> <timeout> <id>", script, environment, caller and context.
-- told has a letter for each: O for OK, it is the caller's under this epoch with the attempt that it had; S for STALE: drop it;
-- people are told, unless its record says that it has ended by this very attempt. What was STALE once is so when it is asked again.
-- A call's jobs are of one type, which need not be the actor's own (idle and lease are of that). done is 1 in the call that names the last of them, also with none: the daemon waits a moment for that before it refills.
-- Where the record is unknown it is made, with the field asserted: accept then adds what only the log knows.
local a = redis.call('HMGET', k_actor, 'incarnation', 'gate')
if a[1] ~= a_incarnation then
  return { 'UNREGISTERED' }
end

-- Whether a record, if there is one, is older than the claim or the very hand-out that it speaks of.
local function older(j, epoch, attempt, script)
  if not j.known then
    return true
  end
  if j.ended or j.script ~= script or before(epoch, j.epoch) or j.epoch == a_epoch then
    return false
  end
  if j.status == 'started' then
    if j.holder == '' or j.epoch == epoch and j.attempt == attempt and j.holder ~= a_incarnation then
      return false
    end
  elseif j.status ~= 'dispatched' or j.epoch == epoch and j.attempt == attempt then
    return false -- it waits for others; or it was given back
  end
  return j.epoch ~= epoch or not before(attempt, j.attempt)
end

local told, mine = '', 0
for i = 7, #ARGV, 5 do
  local epoch, attempt, ran, timeout, id = string.match(ARGV[i], '^(%d+) (%d+) (%d+) (%d+) (.+)$')
  local script, env = ARGV[i + 1], ARGV[i + 2]
  local j = read(id)
  local hand = a_epoch .. ' ' .. attempt .. ' ' .. a_incarnation .. ' '
  local code = 'S'
  if j.status == 'started' and j.epoch == a_epoch and j.attempt == attempt and j.holder == a_incarnation then
    code = 'O' -- said before
  elseif a[2] == 'open' and before(epoch, a_epoch) and older(j, epoch, attempt, script) and not rare.stale_before(id, '', attempt) then
    local listed = redis.call('LPOS', k_held, id) -- in an old copy
    if redis.call('LLEN', k_held) - (listed and 1 or 0) - a_slots < 0 then
      local token = hand .. string.format('%d', now - ran) .. ' ' .. a_name
      if j.known then
        redis.call('HSET', job_key(id), 'status', 'started', 'token', token, 'updated_at', stamp())
        if j.status == 'dispatched' then
          rare.unqueue(id, j)
        end
        if j.opts then
          rare.begun(id, j.opts)
        end
      else
        redis.call('HSET', job_key(id), 'status', 'started', 'token', token, 'script', script, 'type', a_type, 'ready_ms', now,
          'timeout', timeout, 'caller_id', ARGV[i + 3], 'context_id', ARGV[i + 4], 'id', id, 'script_type', a_type,
          'concurrent', 'false', 'created_at', stamp(), 'updated_at', stamp(), 'queued_ms', now, 'v', '1', 'asserted', '1')
        if env ~= '' then
          redis.call('HSET', job_key(id), 'env_vars', env)
        end
        redis.call('ZREM', k_dead, id)
      end
      if not listed then
        redis.call('RPUSH', k_held, id)
      end
      code, mine = 'O', mine + 1
    end
  end
  if code == 'S' and not (j.ended and j.epoch == epoch and j.attempt == attempt and j.holder == a_incarnation) then
    rare.stale(id, '', attempt, j.known and 'STALE' or 'UNKNOWN')
  end
  told = told .. code
end
if mine > 0 then
  redis.call('ZADD', k_lease, 'GT', now, a_incarnation)
  redis.call('ZREM', k_idle, a_name .. ' ' .. a_incarnation) -- its exchange puts it back, if it has a slot left
  redis.call('SADD', k_types, a_type)
end
redis.call('HINCRBY', k_asserted, a_epoch .. ' ' .. a_incarnation, mine)
if a_done == '1' then
  redis.call('HSET', k_asserted, a_epoch .. ' ' .. a_incarnation .. ' done', '1')
end
redis.call('EXPIRE', k_asserted, 60)
return { 'OK', told }
