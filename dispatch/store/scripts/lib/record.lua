-- A job's record. Its field token is "<epoch> <attempt> <incarnation> <started_ms> <actor>" of the last hand-out,
-- the incarnation empty while the job is in nobody's hand: one field, because each costs at every read and write.
local function job_key(id)
  return c_prefix .. ':job:' .. id
end

local function read(id)
  -- pcall: the key may be of another type (the transitional Hero names share the prefix).
  local f = redis.pcall('HMGET', job_key(id), 'status', 'token', 'sequence', 'script', 'ready_ms', 'timeout', 'env_vars',
    'caller_id', 'context_id', 'opts')
  if f.err or id == '' then -- no script could name that one again
    f = {}
  end
  local status = f[1] and string.lower(f[1]) or ''
  local epoch, attempt, holder, started, actor
  if f[2] then
    epoch, attempt, holder, started, actor = string.match(f[2], '^(%d+) (%d+) (%S*) (%S*) (%S*)$')
  end
  local j = {
    known = f[1] or f[4], -- neither status nor script: no record
    status = status,
    ended = status == 'finished' or status == 'error',
    ours = epoch,               -- nil until one of our scripts had it
    epoch = epoch or '0',
    attempt = attempt or '0',   -- of the last hand-out
    holder = holder or '',      -- the incarnation that has it, or that ended it; '' for nobody
    started = started or '',    -- ms of the last hand-out
    actor = actor or '',        -- whom that went to
    sequence = epoch and f[3],  -- none for a record of others, whatever they call so; '0' for one in no log
    script = f[4],
    ready = f[5] or '',
    timeout = f[6] or '',
    env = f[7] or '',
    caller = f[8] or '',
    context = f[9] or '',
    opts = f[10],               -- false for a job with nothing rare
  }
  if j.holder ~= '' and status ~= 'started' and not j.ended then
    rare.written_over(id, j)
  end
  return j
end

local function logged(j)
  return j.sequence and j.sequence ~= '' and j.sequence ~= '0'
end

-- RARE
-- By its token somebody has it, by its status nobody: others wrote over it, as who starts a job once more by its id. What is in
-- that hand stays there. Else it had ended, and is a new job of theirs: its attempts go on, and its history.
function rare.written_over(id, j)
  local key = job_key(id)
  if redis.call('LPOS', c_prefix .. ':held:' .. j.holder, id) then
    redis.call('HSET', key, 'status', 'started')
    j.status = 'started'
    return
  end
  redis.call('HSET', key, 'token', j.epoch .. ' ' .. j.attempt .. '  ' .. j.started .. ' ' .. j.actor)
  redis.call('HDEL', key, 'sequence', 'output', 'error', 'reason', 'exit_code', 'crashes', 'crash_ms', 'retried', 'cancel', 'dead_ms', 'cause',
    'gave_back', 'host', 'forgotten', 'unread', 'settled', 'first_ms', 'ready_ms', 'asserted', 'awaits')
  redis.call('PERSIST', key)
  redis.call('UNLINK', c_prefix .. ':q:reply:' .. id)
  redis.call('ZREM', c_prefix .. ':dead', id)
  j.holder, j.sequence, j.ready = '', false, ''
end
