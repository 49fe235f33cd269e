#!lua
-- Runs every command that the other scripts run, on a key of its own, so that a store whose user may not run one of them, or
-- that takes no writes, is never asked to reserve a failure: the scripts would stop in the middle.
--
-- KEYS: a key in the slot of a message. Answers 1.
local key = KEYS[1]
redis.call('TIME')
redis.call('HSET', key, 'p', '')
redis.call('HINCRBY', key, 'f', 1)
redis.call('HEXISTS', key, 'p')
redis.call('HGET', key, 'f')
redis.call('HMGET', key, 'p', 'f')
redis.call('HGETALL', key)
redis.call('HDEL', key, 'f')
return redis.call('PEXPIRE', key, 1000)
