-- forget: jobs that an old copy of Redis has in its queues or hands, or as dead, and whose end was settled since: nothing of them is kept.
-- KEYS epoch facts ended dead queue idle lease delayed
-- ARGV type
-- USE now stamp fact record opts type queue need end
-- RETURNS KEPT | OK forgotten
-- BOUND 50 jobs, 500 jobs that wait for them; a queue of 1,000 is searched; in a longer one each is looked for from the end that is served
-- More ARGV: for each job "<sequence> <dead, over or settled> <id>", 0 for one that was in no log. A record of another message, or of one that has ended and is not over, stays.
-- For a Redis without an epoch alone (else KEPT), where no other script does anything. Who waits for a settled one is released, as it is when
-- the log is read and has it no more; one that died comes back from the bucket of the dead, and those that hold for it hold.
if redis.call('EXISTS', k_epoch) == 1 then
  return { 'KEPT' }
end
local forgotten = 0
for i = 2, #ARGV do
  local sequence, how, id = string.match(ARGV[i], '^(%d+) (%a+) (.+)$')
  local j = read(id)
  local unread = sequence == '0' and how == 'over' and redis.call('LPOS', k_ended, '0 ' .. id .. ' dead') -- the bucket is to have it yet
  if j.script and (logged(j) and j.sequence or '0') == sequence and j.ended == (how == 'over') and not unread then
    redis.call('SADD', c_prefix .. ':types', a_type) -- a first write that a full Redis refuses
    if j.holder ~= '' then
      redis.call('LREM', c_prefix .. ':held:' .. j.holder, 0, id)
    end
    rare.unqueue(id, j)
    if redis.call('LLEN', k_queue) > 1000 then
      redis.call('LREM', k_queue, -1, id)
    end
    if j.opts and how == 'dead' then
      j.opts = rare.unset(id, j.opts, 'u')
    end
    if j.opts then
      rare.after_end(id, j.opts, true)
    end
    redis.call('ZREM', k_dead, id)
    redis.call('UNLINK', job_key(id), c_prefix .. ':q:reply:' .. id)
    forgotten = forgotten + 1
  end
end
return { 'OK', forgotten }
