-- accept: submissions of one type go into Redis, in the order of the log.
-- KEYS epoch facts ended dead queue idle lease position types delayed
-- ARGV epoch type after
-- USE epoch now stamp fact record opts type queue need end revive ready start serve order
-- RETURNS NO_EPOCH | GAP position | OK ready {OK/SAME/CONFLICT/NO_PREREQUISITE status sequence adopted due actor incarnation waits}...
-- BOUND 50 jobs, 100 prerequisites each, 100 hand-overs, 100 spent ids
-- More KEYS: the jobs' records, for Cluster and for the word WRONGTYPE.
-- More ARGV: for each job id sequence script caller context timeout retries env created due opts needs refilled again.
-- It ends before a job whose record is a key of another kind, and fails if that is the first. waits: what the
-- job waits for, with NO_PREREQUISITE the id that nobody knows.
local position = redis.call('GET', k_position) or '0'
if a_after ~= '0' and before(position, a_after) then
  return { 'GAP', position }
end
redis.call('LLEN', k_queue) -- fails on a key of another kind, before anything is written
local answer = { 'OK', '' }
local places = {} -- of the answers about jobs that went into the queue

-- The position moves with a known id too: it says what was read. Written at the end: what comes again after a call that failed is known.
local read_to = position
local function reached(sequence)
  if before(read_to, sequence) then
    read_to = sequence
  end
end

local function say(code, status, sequence, adopted, due, actor, inc, waits_for)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4] = code, status, sequence, adopted
  answer[n + 5], answer[n + 6], answer[n + 7], answer[n + 8] = due, actor, inc, waits_for
end

-- New jobs with nothing rare go into the queue by one command: before anything else is done that could fail, since their records are there.
local plain = {}
local function queue_plain()
  if plain[1] then
    redis.call('LPUSH', k_queue, unpack(plain))
    redis.call('ZREM', k_dead, unpack(plain)) -- one may lie there as an id without a record
    plain = {}
  end
end

local function ready_now(id, sequence, opts, fresh)
  if fresh and not opts then
    plain[#plain + 1] = id
  else
    rare.enqueue(id, { opts = opts, ready = now })
  end
  places[id] = #answer
  say('OK', 'dispatched', sequence, 0, '', '', '', '')
end

-- A job that its actor kept over a rebuild: the log adds what only it knows. Given back by then, as it failed before the
-- log could say how often it may be tried, it waits for another try.
local function completed(id, j, retries, created, opts)
  local set = { 'sequence', j.sequence, 'retries', retries }
  if created ~= '' then
    set[#set + 1], set[#set + 2] = 'created_at', created
  end
  if opts ~= '' then
    for _, letter in ipairs({ 'u', 'a' }) do -- what has come to it since
      if j.opts and flag(j.opts, letter) then
        opts = opts .. ' ' .. letter
      end
    end
    j.opts = opts
    set[#set + 1], set[#set + 2] = 'opts', j.opts
  end
  redis.call('HSET', job_key(id), unpack(set))
  redis.call('HDEL', job_key(id), 'asserted', 'awaits')
  if j.opts then
    rare.begun(id, j.opts)
  end
end

-- Its end is the log's to hear of.
local function ended_of(id, sequence, j)
  redis.call('RPUSH', k_ended, sequence .. ' ' .. id .. ' ' .. (redis.call('HEXISTS', job_key(id), 'dead_ms') == 1 and 'dead' or j.status))
  redis.call('PERSIST', job_key(id))
end

-- A submission whose id has a record.
local function known(id, sequence, script, again, retries, created, opts, refilled)
  local j = read(id)
  local code, adopted = 'CONFLICT', 0
  local types = redis.call('HMGET', job_key(id), 'type', 'script_type')
  local alike = j.script == script and (types[1] == a_type or not types[1] and string.lower(types[2] or a_type) == string.lower(a_type))
  -- A later message than that of its end: the same one again finds it revived, and perhaps ended since. One that was kept over this
  -- rebuild has ended as the revived one.
  if again == '1' and j.ended and alike and before(j.sequence or '0', sequence) and
    not (refilled == '1' and j.epoch == a_epoch and redis.call('HEXISTS', job_key(id), 'asserted') == 1) then
    rare.revive(id, j, sequence)
    reached(sequence)
    return ready_now(id, sequence, j.opts)
  end
  if alike then
    code = 'SAME'
    if not logged(j) and sequence ~= '0' then
      -- Pushed by others, in the log by now: from here on it ends as the log's.
      local f = redis.call('HMGET', job_key(id), 'asserted', 'awaits')
      local asserted = f[1]
      if asserted and f[2] and before(sequence, f[2]) then -- a later one stands for the job
        reached(sequence)
        return say(code, j.status, '0', adopted, '', '', '', '')
      end
      j.sequence = sequence
      if asserted then
        completed(id, j, retries, created, opts)
        if asserted == 'failed' and j.status == 'dispatched' then
          reached(sequence)
          return ready_now(id, sequence, j.opts)
        end
      else
        adopted = 1
        redis.call('HSET', job_key(id), 'sequence', sequence, 'v', '1')
        if not j.ours then
          redis.call('HSETNX', job_key(id), 'script_type', a_type)
          redis.call('HSET', job_key(id), 'token', '0 0   ', 'type', a_type)
        end
      end
      if j.ended then
        ended_of(id, sequence, j)
      end
    elseif refilled == '1' and j.ended and j.sequence == sequence and
      (redis.call('HDEL', job_key(id), 'settled') == 1 or redis.call('TTL', job_key(id)) >= 0) then
      -- A dead one that was restored, and whose message was not deleted before Redis forgot that it has to be.
      ended_of(id, sequence, j)
    end
  end
  reached(sequence)
  local mine = j.holder ~= '' and not j.ended
  say(code, j.status, j.sequence or '0', adopted, redis.call('ZSCORE', k_delayed, id) or '',
    mine and j.actor or '', mine and j.holder or '', '')
end

local typed = false
local function new(id, sequence, script, caller, context, timeout, retries, env, created, due, opts, needs, refilled)
  local open, failed = {}, nil
  if needs ~= '' then
    local unknown
    open, failed, unknown = rare.look_at_needs(needs, refilled == '1')
    if unknown then
      reached(sequence)
      return say('NO_PREREQUISITE', '', sequence, 0, '', '', '', unknown)
    end
  end
  local later = due ~= '' and tonumber(due) > tonumber(now)
  local status, ready = 'dispatched', later and due or now
  if open[1] and not failed then
    status, ready = 'waiting_for_prerequisites', ''
  end
  local at = created ~= '' and created or stamp()
  -- What is read most comes first: Redis looks through a small hash from its begin.
  local set = { 'status', status, 'token', '0 0   ', 'sequence', sequence, 'script', script, 'type', a_type,
    'ready_ms', ready, 'timeout', timeout, 'caller_id', caller, 'context_id', context, 'id', id,
    'script_type', a_type, 'retries', retries, 'concurrent', 'false', 'created_at', at,
    'updated_at', at, 'queued_ms', now, 'v', '1' }
  if env ~= '' then
    set[#set + 1] = 'env_vars'
    set[#set + 1] = env
  end
  if opts ~= '' then
    set[#set + 1] = 'opts'
    set[#set + 1] = opts
  else
    opts = false
  end
  redis.call('HSET', job_key(id), unpack(set))
  reached(sequence)
  if not typed then
    redis.call('SADD', k_types, a_type)
    typed = true
  end
  if not opts and not later and needs == '' then
    return ready_now(id, sequence, opts, true)
  end
  redis.call('ZREM', k_dead, id) -- as above
  if failed then
    rare.end_unrun(id, { attempt = '0', sequence = sequence, opts = opts }, 'prerequisite ' .. failed,
      'its prerequisite ' .. failed .. ' did not finish')
    return say('OK', 'error', sequence, 0, '', '', '', '')
  end
  local by = opts and opt(opts, 'b')
  if by then
    redis.call('ZADD', c_prefix .. ':startby:' .. a_type, by, id)
  end
  if open[1] then
    rare.wait_for(id, opts, open)
    local names = {}
    for i, o in ipairs(open) do
      names[i] = o[1]
    end
    return say('OK', status, sequence, 0, later and due or '', '', '', table.concat(names, ' '))
  end
  if later then
    redis.call('ZADD', k_delayed, ready, id)
    return say('OK', status, sequence, 0, ready, '', '', '')
  end
  ready_now(id, sequence, opts)
end

for i = 4, #ARGV, 14 do
  local id, sequence, again = ARGV[i], ARGV[i + 1], ARGV[i + 13]
  local f = redis.call('EXISTS', job_key(id)) == 1 and redis.pcall('HMGET', job_key(id), 'status', 'script') or {}
  if f.err then
    if i == 4 then
      return f
    end
    break
  end
  if f[1] or f[2] or ARGV[i + 9] ~= '' or ARGV[i + 10] ~= '' or ARGV[i + 11] ~= '' then
    queue_plain()
  end
  if f[1] or f[2] then
    known(id, sequence, ARGV[i + 2], again, ARGV[i + 6], ARGV[i + 8], ARGV[i + 10], ARGV[i + 12])
  else
    new(id, sequence, unpack(ARGV, i + 2, i + 12))
  end
end
queue_plain()
if read_to ~= position then
  redis.call('SET', k_position, read_to)
end
if next(places) and redis.call('EXISTS', k_idle) == 1 then
  for _, h in ipairs(rare.serve(100)) do
    local at = places[h.id]
    if at then
      answer[at + 2], answer[at + 6], answer[at + 7] = 'started', h.actor, h.incarnation
    end
  end
end
answer[2] = rare.waiting()
return answer
