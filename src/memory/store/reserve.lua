-- Reserves a failure of a message for a decryption, or says why not. One atomic step.
--
-- KEYS: date, last block, token. ARGV: token, budget of the last block, budget of the date, life of the keys of date and
-- last block in milliseconds.
-- Answers 0: reserved; 1: reservations that still run fill a budget, so wait; 2: a budget is spent.
local date, block = KEYS[1], KEYS[2]
local mine, block_budget, date_budget = 'p' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('HEXISTS', date, mine) == 1 then
  return 0
end
if redis.call('HEXISTS', KEYS[3], 'p') == 1 then
  -- The call was given up before this came.
  return 2
end
local now = clock()
local of_block, of_date = counted(date, block)
if of_block >= block_budget or of_date >= date_budget then
  of_block, of_date = failed(date, block, now)
  return (of_block >= block_budget or of_date >= date_budget) and 2 or 1
end
redis.call('HSET', date, mine, string.format('%.0f ', now) .. string.sub(block, -22))
redis.call('HINCRBY', date, 'f', 1)
redis.call('HINCRBY', block, 'f', 1)
redis.call('PEXPIRE', date, ARGV[4])
redis.call('PEXPIRE', block, ARGV[4])
return 0
