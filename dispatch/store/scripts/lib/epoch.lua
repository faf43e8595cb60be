-- Nothing is read or written for another epoch.
if redis.call('GET', k_epoch) ~= a_epoch then
  return { 'NO_EPOCH' }
end
