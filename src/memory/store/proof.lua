-- Runs every command that the other scripts run, on a key of its own, so that a store whose user may not run one of them, or
-- that takes no writes, is never asked to reserve a failure: the scripts would stop in the middle. The key expires even if
-- this stops in the middle: a user that may not set a time to live writes nothing.
--
-- KEYS: a key in the slot of a message. Answers 1, or the first error and the command that gave it.
local key = KEYS[1]
for _, command in ipairs({
  { 'PEXPIRE', key, 1000 },
  { 'HSET', key, 'p', '' },
  { 'PEXPIRE', key, 1000 },
  { 'TIME' },
  { 'HINCRBY', key, 'f', 1 },
  { 'HEXISTS', key, 'p' },
  { 'HGET', key, 'f' },
  { 'HMGET', key, 'p', 'f' },
  { 'HGETALL', key },
  { 'HDEL', key, 'f' },
}) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    return redis.error_reply(answer.err .. ' (' .. command[1] .. ')')
  end
end
return 1
