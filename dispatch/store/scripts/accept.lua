-- accept: a submission goes into Redis.
-- KEYS epoch facts ended dead queue idle lease job position types delayed
-- ARGV epoch type id after sequence script caller context timeout retries env created due opts needs refilled again
-- USE epoch now stamp fact record opts type queue need end revive ready start serve order
-- RETURNS NO_EPOCH | GAP position | NO_PREREQUISITE id | OK/SAME/CONFLICT status sequence adopted ready due actor incarnation waits
-- BOUND 100 prerequisites, 100 hand-overs, 100 spent ids
local position = redis.call('GET', k_position) or '0'
if a_after ~= '0' and before(position, a_after) then
  return { 'GAP', position }
end
-- The position moves with a known id too: it says what was read. After the first other write.
local function reached()
  if before(position, a_sequence) then
    redis.call('SET', k_position, a_sequence)
  end
end

local function ready_now(opts)
  rare.enqueue(a_id, { opts = opts, ready = now })
  local status, name, inc = 'dispatched', '', ''
  for _, h in ipairs(rare.serve(100)) do
    if h.id == a_id then
      status, name, inc = 'started', h.actor, h.incarnation
    end
  end
  return { 'OK', status, a_sequence, 0, rare.waiting(), '', name, inc, '' }
end

local f = redis.call('HMGET', k_job, 'status', 'script')
if f[1] or f[2] then
  local j = read(a_id)
  local code, adopted = 'CONFLICT', 0
  local types = redis.call('HMGET', k_job, 'type', 'script_type')
  local alike = j.script == a_script and (types[1] == a_type or not types[1] and string.lower(types[2] or a_type) == string.lower(a_type))
  -- A later message than that of its end: the same one again finds it revived, and perhaps ended since.
  if a_again == '1' and j.ended and alike and before(j.sequence or '0', a_sequence) then
    rare.revive(a_id, j, a_sequence)
    reached()
    return ready_now(j.opts)
  end
  if alike then
    code = 'SAME'
    if not logged(j) and a_sequence ~= '0' then
      -- Pushed by others, in the log by now: from here on it ends as the log's.
      adopted = 1
      j.sequence = a_sequence
      redis.call('HSET', k_job, 'sequence', a_sequence, 'v', '1')
      if j.ended then
        redis.call('RPUSH', k_ended, a_sequence .. ' ' .. a_id .. ' ' .. j.status)
        redis.call('PERSIST', k_job)
      end
    end
  end
  reached()
  local due = redis.call('ZSCORE', k_delayed, a_id) or ''
  local mine = j.holder ~= '' and not j.ended
  return { code, j.status, j.sequence or '0', adopted, rare.waiting(), due,
    mine and j.actor or '', mine and j.holder or '', '' }
end

local open, failed = {}, nil
if a_needs ~= '' then
  local unknown
  open, failed, unknown = rare.look_at_needs(a_needs, a_refilled == '1')
  if unknown then
    reached()
    return { 'NO_PREREQUISITE', unknown }
  end
end
local later = a_due ~= '' and tonumber(a_due) > tonumber(now)
local status, ready = 'dispatched', later and a_due or now
if open[1] and not failed then
  status, ready = 'waiting_for_prerequisites', ''
end
local at = a_created ~= '' and a_created or stamp()
-- What is read most comes first: Redis looks through a small hash from its begin.
local set = { 'status', status, 'token', '0 0   ', 'sequence', a_sequence, 'script', a_script, 'type', a_type,
  'ready_ms', ready, 'timeout', a_timeout, 'caller_id', a_caller, 'context_id', a_context, 'id', a_id,
  'script_type', a_type, 'retries', a_retries, 'concurrent', 'false', 'created_at', at,
  'updated_at', at, 'queued_ms', now, 'v', '1' }
if a_env ~= '' then
  set[#set + 1] = 'env_vars'
  set[#set + 1] = a_env
end
local opts = a_opts ~= '' and a_opts
if opts then
  set[#set + 1] = 'opts'
  set[#set + 1] = a_opts
end
redis.call('HSET', k_job, unpack(set))
reached()
redis.call('SADD', k_types, a_type)
redis.call('ZREM', k_dead, a_id) -- it may lie there as an id without a record
if failed then
  rare.end_unrun(a_id, { attempt = '0', sequence = a_sequence, opts = opts }, 'prerequisite ' .. failed,
    'its prerequisite ' .. failed .. ' did not finish')
  return { 'OK', 'error', a_sequence, 0, rare.waiting(), '', '', '', '' }
end
local by = opts and opt(opts, 'b')
if by then
  redis.call('ZADD', c_prefix .. ':startby:' .. a_type, by, a_id)
end
if open[1] then
  rare.wait_for(a_id, opts, open)
  local names = {}
  for i, o in ipairs(open) do
    names[i] = o[1]
  end
  return { 'OK', status, a_sequence, 0, rare.waiting(), later and a_due or '', '', '', table.concat(names, ' ') }
end
if later then
  redis.call('ZADD', k_delayed, ready, a_id)
  return { 'OK', status, a_sequence, 0, rare.waiting(), ready, '', '', '' }
end
return ready_now(opts)
