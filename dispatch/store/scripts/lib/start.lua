-- A job goes into a hand. First write: HSET, which a full Redis refuses; the caller takes
-- the id out of where it was only after this.
local function start(id, j, name, inc)
  local attempt = j.attempt + 1
  local set = { 'status', 'started', 'attempt', attempt, 'epoch', a_epoch, 'incarnation', inc, 'actor', name,
    'started_ms', now_text, 'updated_at', iso(now), 'v', '1' }
  if not j.type then
    set[#set + 1] = 'type'
    set[#set + 1] = a_type
  end
  if not j.script_type then -- original supervisors leave it to the queue's name
    set[#set + 1] = 'script_type'
    set[#set + 1] = a_type
  end
  redis.call('HSET', job_key(id), unpack(set))
  redis.call('RPUSH', a_prefix .. ':held:' .. inc, id)
  redis.call('ZADD', k_lease, string.format('%.0f', now + a_lease), id)
  fact('started', 'job', id, 'type', a_type, 'actor', name, 'incarnation', inc, 'attempt', attempt,
    'sequence', j.sequence or '0', 'timeout', j.timeout, 'wait', j.ready > 0 and math.max(0, now - j.ready) or 0)
  return attempt
end

-- The next id to serve and its record, peeked: the right end of the queue. Spent ids
-- (ended, cancelled, pushed twice) and unusable ones are dropped on the way, 100 a call.
local spare = 100
local function next_ready()
  while spare > 0 do
    local id = redis.call('LINDEX', k_queue, -1)
    if not id then
      return nil
    end
    local j = read(id)
    if not j.script then
      bury_unusable(id, j)
    elseif not j.ended and j.holder == '' then
      return id, j
    end
    redis.call('RPOP', k_queue)
    spare = spare - 1
  end
  return nil, 'AGAIN'
end
