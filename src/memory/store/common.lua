-- What reserve.lua, resolve.lua and release.lua share: it stands in front of each of them.
--
-- The hash of a date has `f`, its failures and reservations, and for each reservation that still runs a field `p` and its
-- token: when it began (milliseconds of the store's clock), a blank, and the last block that it is for. The hash of a last
-- block has `f` likewise. A reservation that is 5 s old runs no longer: it counts as a failure until somebody gives it back.

-- The store's clock in milliseconds.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The failures and reservations of a last block, and those of its date.
local function counted(date, block)
  return tonumber(redis.call('HGET', block, 'f') or '0'), tonumber(redis.call('HGET', date, 'f') or '0')
end

-- The failures alone.
local function failed(date, block, now)
  local of_block, of_date = counted(date, block)
  local id = string.sub(block, -22)
  local fields = redis.call('HGETALL', date)
  for at = 1, #fields, 2 do
    if string.byte(fields[at]) == 112 then
      local since, of = string.match(fields[at + 1], '^(%d+) (.*)$')
      if now - since < 5000 then
        of_date = of_date - 1
        if of == id then
          of_block = of_block - 1
        end
      end
    end
  end
  return of_block, of_date
end

-- Gives back a reservation that is there.
local function give_back(date, block, reservation)
  redis.call('HDEL', date, reservation)
  for _, key in ipairs({ date, block }) do
    if redis.call('HINCRBY', key, 'f', -1) <= 0 then
      redis.call('HDEL', key, 'f')
    end
  end
end

