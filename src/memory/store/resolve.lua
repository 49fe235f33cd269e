-- Notes what became of a decryption: a failure stays charged, anything else gives its reservation back. One atomic step,
-- which a repetition does not change.
--
-- The hash of a last block has `m`, the message that opened first, and once that opened for a caller `o`, when
-- (milliseconds of the Unix epoch), and `c`: the call in 12 bytes, the store's clock in milliseconds, and until that call
-- confirms that it got this answer, `?` and its token in 12 bytes. A caller can make a call with a name several times,
-- also at once: then it has a token for each time, and the opening is forgotten with the last one. The hash of a token
-- says that its failure is charged or that its call was given up, so that a repetition does not charge it again, and an
-- opening that comes late is not noted.
--
-- KEYS: date, last block, token. ARGV: token, outcome (f: failed, n: opens but is not expected, o: opens), message, call,
-- now in milliseconds, life of the keys of date and last block in milliseconds, budget of the last block (0: none), budget
-- of the date, patience in milliseconds or nothing, 1 if an opening must be confirmed, life of the hash of the token in
-- milliseconds.
-- Answers {what, when it opened first, 1 if this spent the budget of the last block, likewise of the date}; what is 0:
-- failed, 1: another message opened before it, 2: not expected, 3: opened first, 4: opened again, 5: too late, 6: not
-- known, since the call that opened it has not confirmed it, and may have told its caller that nothing was recorded.
-- With a patience, a first opening is too late if the reservation is older or given back: the store or the way to it stood
-- still, the caller was told that nothing was recorded, and so nothing is.
local date, block = KEYS[1], KEYS[2]
local mine, outcome, message, call = 'p' .. ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local first_now, block_budget, date_budget = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[8])
local now = clock()
local held = redis.call('HGET', date, mine)
local is_over = not held and redis.call('HEXISTS', KEYS[3], 'p') == 1

local function charge(what)
  local is_lost = not held and block_budget > 0 and not is_over
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
  local of_block, of_date = counted(date, block)
  if block_budget == 0 or (of_block < block_budget and of_date < date_budget) then
    return { what, 0, 0, 0 }
  end
  of_block, of_date = failed(date, block, now)
  return { what, 0, of_block == block_budget and 1 or 0, of_date == date_budget and 1 or 0 }
end

if outcome == 'f' then
  return charge(0)
end
local known = redis.call('HMGET', block, 'm', 'o', 'c')
local opener = known[3] or ''
local by = string.sub(opener, 1, 12)
local opened, open, tokens = string.match(opener, '^(%d+)(%??)(.*)$', 13)
local patience = tonumber(ARGV[9])
local late = patience
  and (is_over or (block_budget > 0 and (not held or now - string.match(held, '^%d+') > patience)))
local is_own = by == call and (open == '' or string.find(tokens, ARGV[1], 1, true))
local is_changed = known[1] and known[1] ~= message
local is_try = by == call and known[2] and now - opened < 60000
local is_again = known[2] and not is_changed and not is_try
if outcome == 'o' and late and not is_own and not is_again then
  return { 5, 0, 0, 0 }
end
if is_changed then
  return charge(1)
end
local what, first = 4, tonumber(known[2] or '0')
if outcome == 'n' then
  what = 2
  redis.call('HSET', block, 'm', message)
elseif not known[2] then
  what, first = 3, first_now
  local opening = call .. string.format('%.0f', now) .. (ARGV[10] == '1' and '?' .. ARGV[1] or '')
  redis.call('HSET', block, 'm', message, 'o', ARGV[5], 'c', opening)
elseif is_try then
  what = 3
  if not is_own then
    redis.call('HSET', block, 'c', opener .. ARGV[1])
  end
elseif patience and open == '?' and now - opened < 60000 then
  return { 6, 0, 0, 0 }
end
if held then
  give_back(date, block, mine)
end
redis.call('PEXPIRE', block, ARGV[6])
return { what, first, 0, 0 }
