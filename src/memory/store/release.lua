#!lua flags=allow-oom
-- Gives back the reservation of a call that was given up, and forgets the opening that its last step may have noted although
-- the answer was lost. Or confirms an opening.
--
-- A reservation that is not there may still be on its way. The hash of the last block gets a field `p` and its token, so
-- that it reserves nothing when it comes.
--
-- KEYS: date, last block. ARGV: token; the call whose opening is to be forgotten, or nothing; the call whose opening is to
-- be confirmed, or nothing; life of both keys in milliseconds.
if redis.call('HEXISTS', KEYS[1], 'p' .. ARGV[1]) == 1 then
  redis.call('HDEL', KEYS[1], 'p' .. ARGV[1])
  for _, key in ipairs(KEYS) do
    if redis.call('HINCRBY', key, 'f', -1) <= 0 then
      redis.call('HDEL', key, 'f')
    end
  end
elseif ARGV[3] == '' then
  redis.call('HSET', KEYS[2], 'p' .. ARGV[1], '')
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
local opener = redis.call('HGET', KEYS[2], 'c') or ''
local by = string.sub(opener, 1, 12)
if ARGV[2] ~= '' and by == ARGV[2] then
  redis.call('HDEL', KEYS[2], 'o', 'c')
end
if ARGV[3] ~= '' and by == ARGV[3] then
  redis.call('HSET', KEYS[2], 'c', (string.gsub(opener, '%?$', '')))
end
return 0
