-- promote: what time brings for a type: due jobs go to its queue, late ones end, ends over the bound of their script go on.
-- KEYS epoch facts ended dead queue idle lease delayed startby
-- ARGV epoch type limit
-- USE epoch now stamp fact record opts type queue need end ready start serve
-- RETURNS NO_EPOCH | OK moved more ready
-- BOUND limit (200) due jobs, limit late ones, 500 waiting for those that ended, 100 hand-overs, 100 spent ids
local late_ones = redis.call('ZRANGEBYSCORE', k_startby, '-inf', now, 'LIMIT', 0, a_limit)
for _, id in ipairs(late_ones) do
  local j = read(id)
  if j.known and not j.ended and j.holder == '' then
    rare.expire(id, j)
    redis.call('ZREM', k_delayed, id)
  end
  redis.call('ZREM', k_startby, id)
end
local due = redis.call('ZRANGEBYSCORE', k_delayed, '-inf', now, 'LIMIT', 0, a_limit)
local moved = 0
for _, id in ipairs(due) do
  local j = read(id)
  local over = not j.known and string.match(id, '^>(.+)$') -- an id of the log has no such character, one that others chose may
  if over then
    j = read(over)
    redis.call('ZADD', k_delayed, 'XX', now, id) -- a first write that a full Redis refuses
    redis.call('ZREM', k_delayed, id)
    if j.ended or not j.known then -- else it was revived, and ends once more
      rare.release(over, j.opts, j.status == 'finished')
    end
  else
    if not j.script then
      rare.bury_unusable(id, j)
    elseif waits(id, j) then
      rare.enqueue(id, j)
      moved = moved + 1
    end
    redis.call('ZREM', k_delayed, id)
  end
end
rare.serve(100)
if #late_ones > 0 then
  next_ready() -- at the queue's head those go now: nobody may come to claim
  trim_queue()
end
rare.serve_others()
local more = redis.call('ZCOUNT', k_delayed, '-inf', now) + redis.call('ZCOUNT', k_startby, '-inf', now)
return { 'OK', moved, more, rare.waiting() }
