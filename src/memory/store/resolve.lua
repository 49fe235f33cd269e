#!lua
-- Notes what became of a decryption: a failure stays charged, anything else gives its reservation back. One atomic step,
-- which a repetition does not change.
--
-- The hash of a last block has `m`, the message that opened first, and once that opened for a caller `o`, when
-- (milliseconds of the Unix epoch), and `c`: the call in 12 bytes, the store's clock in milliseconds, and until that call
-- confirms that it got this answer, `?` and its token in 12 bytes. A caller can make a call with a name several times,
-- also at once: then it has a token for each time, and the opening is forgotten with the last one. The hash of a token
-- says that its failure is charged, so that a repetition does not charge it again.
--
-- KEYS: date, last block, token. ARGV: token, outcome (f: failed, n: opens but is not expected, o: opens), message, call,
-- now in milliseconds, life of the keys of date and last block in milliseconds, budget of the last block (0: none), budget
-- of the date, patience in milliseconds or nothing, 1 if an opening must be confirmed, life of the hash of the token in
-- milliseconds.
-- Answers {what, when it opened first, 1 if this spent the budget of the last block, likewise of the date}; what is 0:
-- failed, 1: another message opened before it, 2: not expected, 3: opened first, 4: opened again, 5: too late, 6: not
-- known, since the call that opened it has not confirmed it, and may have told its caller that nothing was recorded.
-- With a patience, an opening is too late if the reservation is older or given back: the store or the way to it stood
-- still, the caller was told that nothing was recorded, and so nothing is.
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
  for _, key in ipairs({ date, block }) do
    if redis.call('HINCRBY', key, 'f', -1) <= 0 then
      redis.call('HDEL', key, 'f')
    end
  end
end

local function charge(what)
  local is_lost = not held and of_block > 0 and redis.call('HEXISTS', KEYS[3], 'p') == 0
  if held then
    redis.call('HDEL', date, mine)
  elseif is_lost then
    redis.call('HINCRBY', date, 'f', 1)
    redis.call('HINCRBY', block, 'f', 1)
  end
  if held or is_lost then
    redis.call('HSET', KEYS[3], 'p', '')
    redis.call('PEXPIRE', KEYS[3], ARGV[11])
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
local known = redis.call('HMGET', block, 'm', 'o', 'c')
local opener = known[3] or ''
local by = string.sub(opener, 1, 12)
local opened, open, tokens = string.match(opener, '^(%d+)(%??)(.*)$', 13)
local patience = tonumber(ARGV[9])
local late = patience and of_block > 0 and (not held or clock - string.match(held, '^%d+') > patience)
local is_own = by == call and (open == '' or string.find(tokens, ARGV[1], 1, true))
if outcome == 'o' and late and not is_own then
  return { 5, 0, 0, 0 }
end
if known[1] and known[1] ~= message then
  return charge(1)
end
local what, first = 4, tonumber(known[2] or '0')
if outcome == 'n' then
  what = 2
  redis.call('HSET', block, 'm', message)
elseif not known[2] then
  what, first = 3, now
  local opening = call .. string.format('%.0f', clock) .. (ARGV[10] == '1' and '?' .. ARGV[1] or '')
  redis.call('HSET', block, 'm', message, 'o', ARGV[5], 'c', opening)
elseif by == call and clock - opened < 60000 then
  what = 3
  if not is_own then
    redis.call('HSET', block, 'c', opener .. ARGV[1])
  end
elseif patience and open == '?' and clock - opened < 60000 then
  return { 6, 0, 0, 0 }
end
give_back()
redis.call('PEXPIRE', block, ARGV[6])
return { what, first, 0, 0 }
