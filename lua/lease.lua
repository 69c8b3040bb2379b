#!lua flags=allow-oom
-- lease.lua: takes, keeps or gives up the right to apply one partition's log.
-- The lease keeps two persisters from doing the same work; that the work takes effect once is guarded in Postgres.
-- It may run when memory is full: without a lease nobody applies and trims the log, and memory stays full.
-- KEYS[1]  lease  string  the owner's name, expiring
-- ARGV[1]  owner  string  who asks
-- ARGV[2]  ttl    ms      how long it is to last from now; 0: give it up
-- ARGV[3]  gone   string  an owner that the caller knows to be no more, and whose lease it takes; left out or '': none
-- Returns: 1 the caller holds it (or has given it up), else the name of who does
-- Movement: none
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua

local ttl = whole(ARGV[2], 0, NUMBER_MAX)
if #ARGV < 2 or #ARGV > 3 or not ttl or ARGV[1] == '' then return redis.error_reply('INVALID_ARGUMENT lease') end
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] and owner ~= ARGV[3] then return owner end
if ttl == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
