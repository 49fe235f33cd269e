#!lua
-- Reserves a failure of a message for a decryption, or says why not. One atomic step.
--
-- The hash of a date has `f`, its failures and reservations, and for each reservation that still runs a field `p` and its
-- token: when it began (milliseconds of the store's clock), a blank, and the last block that it is for. The hash of a last
-- block has `f` likewise. A reservation that is 5 s old runs no longer: it counts as a failure until somebody gives it back.
--
-- KEYS: date, last block, token. ARGV: token, budget of the last block, budget of the date, life of the keys of date and
-- last block in milliseconds.
-- Answers 0: reserved; 1: reservations that still run fill a budget, so wait; 2: a budget is spent.
local date, block = KEYS[1], KEYS[2]
local mine, of_block, of_date = 'p' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local id = string.sub(block, -22)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HEXISTS', date, mine) == 1 then
  return 0
end
if redis.call('HEXISTS', KEYS[3], 'p') == 1 then
  -- The call was given up before this came.
  return 2
end
local failed = tonumber(redis.call('HGET', block, 'f') or '0')
local all = tonumber(redis.call('HGET', date, 'f') or '0')
if failed >= of_block or all >= of_date then
  local fields = redis.call('HGETALL', date)
  for at = 1, #fields, 2 do
    if string.byte(fields[at]) == 112 then
      local since, of = string.match(fields[at + 1], '^(%d+) (.*)$')
      if now - since < 5000 then
        all = all - 1
        if of == id then
          failed = failed - 1
        end
      end
    end
  end
  if failed >= of_block or all >= of_date then
    return 2
  end
  return 1
end
redis.call('HSET', date, mine, string.format('%.0f ', now) .. id)
redis.call('HINCRBY', date, 'f', 1)
redis.call('HINCRBY', block, 'f', 1)
redis.call('PEXPIRE', date, ARGV[4])
redis.call('PEXPIRE', block, ARGV[4])
return 0
