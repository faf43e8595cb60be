-- A job's record. Texts are '' when absent, so that they can be returned.
local function job_key(id)
  return a_prefix .. ':job:' .. id
end

local function read(id)
  -- pcall: the key may be of another type (the transitional Hero names share the prefix).
  local f = redis.pcall('HMGET', job_key(id), 'status', 'script', 'script_type', 'env_vars', 'timeout', 'caller_id',
    'context_id', 'attempt', 'epoch', 'incarnation', 'sequence', 'ready_ms', 'crashes', 'started_ms', 'actor', 'reason', 'type')
  if f.err then
    f = {}
  end
  local status = f[1] and string.lower(f[1]) or ''
  return {
    known = f[1] or f[2], -- neither status nor script: no record
    status = status,
    ended = status == 'finished' or status == 'error',
    script = f[2],
    script_type = f[3],
    type = f[17],         -- the queue's; false until one of our scripts saw it
    env = f[4] or '',
    timeout = f[5] or '',
    caller = f[6] or '',
    context = f[7] or '',
    attempt = tonumber(f[8] or '') or 0,
    epoch = f[9] or '',
    holder = f[10] or '', -- the incarnation that has it; '' when it is in nobody's hand
    sequence = f[11],     -- false for a record of others, '0' for one in no log
    ready = tonumber(f[12] or '') or 0,
    crashes = tonumber(f[13] or '') or 0,
    started = tonumber(f[14] or '') or 0,
    actor = f[15] or '',
    reason = f[16] or '',
  }
end

local function logged(j)
  return j.sequence and j.sequence ~= '' and j.sequence ~= '0'
end
