-- One fact for the bus. The stream is capped: what must not be lost is elsewhere. Few fields, since each
-- costs: of is "<type> <sequence>", by is "<actor> <incarnation> <attempt>".
local function fact(kind, id, sequence, name, inc, attempt, ...)
  redis.call('XADD', k_facts, 'MAXLEN', '~', '10000', '*', 'kind', kind, 'job', id,
    'of', a_type .. ' ' .. (sequence or '0'), 'by', name .. ' ' .. inc .. ' ' .. attempt, ...)
end
