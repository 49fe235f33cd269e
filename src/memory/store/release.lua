-- Gives back the reservation of a call that was given up, and forgets the opening that its last step may have noted although
-- the answer was lost. Or confirms an opening.
--
-- A reservation that is not there may still be on its way. A hash for its token says that it is over, so that it reserves
-- or opens nothing when it comes.
--
-- KEYS: date, last block, token. ARGV: token; f: forget an opening, c: confirm it, or nothing; life of the hash of the
-- token in milliseconds.
if redis.call('HEXISTS', KEYS[1], 'p' .. ARGV[1]) == 1 then
  give_back(KEYS[1], KEYS[2], 'p' .. ARGV[1])
elseif ARGV[2] ~= 'c' then
  redis.call('HSET', KEYS[3], 'p', '')
  redis.call('PEXPIRE', KEYS[3], ARGV[3])
end
local opener = redis.call('HGET', KEYS[2], 'c') or ''
local opened, tokens = string.match(opener, '^(%d+)%?(.*)$', 13)
local at = tokens and string.find(tokens, ARGV[1], 1, true)
if at and ARGV[2] == 'c' then
  redis.call('HSET', KEYS[2], 'c', string.sub(opener, 1, 12) .. opened)
elseif at and ARGV[2] == 'f' then
  local others = string.sub(tokens, 1, at - 1) .. string.sub(tokens, at + 12)
  if others == '' then
    redis.call('HDEL', KEYS[2], 'o', 'c')
  else
    redis.call('HSET', KEYS[2], 'c', string.sub(opener, 1, 12) .. opened .. '?' .. others)
  end
end
return 0
