#!lua
-- Notes what became of a decryption: a failure stays charged, anything else gives its reservation back. One atomic step,
-- which a repetition does not change.
--
-- The hash of a last block has `m`, the message that opened first, and once that opened for a caller `o`, when
-- (milliseconds of the Unix epoch), and `c`, in which call.
--
-- KEYS: date, last block. ARGV: token, outcome (f: failed, n: opens but is not expected, o: opens), message, call, now in
-- milliseconds, life of both keys in milliseconds, budget of the last block (0: none), budget of the date, patience in
-- milliseconds or nothing.
-- Answers {what, when it opened first, 1 if this spent the budget of the last block, likewise of the date}; what is 0:
-- failed, 1: another message opened before it, 2: not expected, 3: opened first, 4: opened again, 5: too late. With a
-- patience, an opening is too late if the reservation is older: the store stood still meanwhile, the caller was told that
-- nothing was recorded, and so nothing is.
local date, block = KEYS[1], KEYS[2]
local mine, outcome, message, call = 'p' .. ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now, of_block, of_date = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[8])
local id = string.sub(block, -22)
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HGET', date, mine)

local function give_back()
  if not held then
    return
  end
  redis.call('HDEL', date, mine)
  if clock - string.match(held, '^%d+') < 5000 then
    for _, key in ipairs(KEYS) do
      if redis.call('HINCRBY', key, 'f', -1) <= 0 then
        redis.call('HDEL', key, 'f')
      end
    end
  end
end

local function charge(what)
  if held then
    redis.call('HDEL', date, mine)
  elseif of_block > 0 then
    -- The store has lost the reservation.
    redis.call('HINCRBY', date, 'f', 1)
    redis.call('HINCRBY', block, 'f', 1)
  end
  redis.call('PEXPIRE', date, ARGV[6])
  redis.call('PEXPIRE', block, ARGV[6])
  local failed = tonumber(redis.call('HGET', block, 'f') or '0')
  local all = tonumber(redis.call('HGET', date, 'f') or '0')
  if of_block == 0 or (failed < of_block and all < of_date) then
    return { what, 0, 0, 0 }
  end
  local fields = redis.call('HGETALL', date)
  for at = 1, #fields, 2 do
    if string.byte(fields[at]) == 112 then
      local since, of = string.match(fields[at + 1], '^(%d+) (.*)$')
      if clock - since < 5000 then
        all = all - 1
        if of == id then
          failed = failed - 1
        end
      end
    end
  end
  return { what, 0, failed == of_block and 1 or 0, all == of_date and 1 or 0 }
end

if outcome == 'f' then
  return charge(0)
end
if held and clock - string.match(held, '^%d+') > (tonumber(ARGV[9]) or math.huge) then
  return { 5, 0, 0, 0 }
end
local known = redis.call('HMGET', block, 'm', 'o', 'c')
if known[1] and known[1] ~= message then
  return charge(1)
end
local what, first = 4, tonumber(known[2] or '0')
if outcome == 'n' then
  what = 2
  redis.call('HSET', block, 'm', message)
elseif not known[2] then
  what, first = 3, now
  redis.call('HSET', block, 'm', message, 'o', ARGV[5], 'c', call)
elseif known[3] == call and now - first < 60000 then
  what = 3
end
give_back()
redis.call('PEXPIRE', block, ARGV[6])
return { what, first, 0, 0 }
