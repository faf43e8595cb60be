-- One fact for the bus. The stream is capped: what must not be lost is elsewhere.
local function fact(kind, ...)
  redis.call('XADD', k_facts, 'MAXLEN', '~', 10000, '*', 'kind', kind, ...)
end
