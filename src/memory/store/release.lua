#!lua flags=allow-oom
-- Gives back the reservation of a call that was given up, and forgets the opening that its last step may have noted although
-- the answer was lost.
--
-- KEYS: date, last block. ARGV: token; the call whose opening is to be forgotten, or nothing.
local held = redis.call('HGET', KEYS[1], 'p' .. ARGV[1])
if held then
  redis.call('HDEL', KEYS[1], 'p' .. ARGV[1])
  local time = redis.call('TIME')
  if time[1] * 1000 + math.floor(time[2] / 1000) - string.match(held, '^%d+') < 5000 then
    for _, key in ipairs(KEYS) do
      if redis.call('HINCRBY', key, 'f', -1) <= 0 then
        redis.call('HDEL', key, 'f')
      end
    end
  end
end
if ARGV[2] ~= '' and redis.call('HGET', KEYS[2], 'c') == ARGV[2] then
  redis.call('HDEL', KEYS[2], 'o', 'c')
end
return 0
