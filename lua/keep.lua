-- keep.lua: keeps a copy of what Postgres says of a product, unless the copy that is there was read later.
-- Catalogue versions put all reads of the catalogue into one order: a copy that comes late is older by its number, and
-- changes nothing. One that is repeated lives on from now.
-- KEYS[1]   product    hash     the product's copy, in the cache's Redis
-- ARGV[1]   catalogue  number   the catalogue's version as of which it was read
-- ARGV[2]   ttl        ms       how long the copy lives
-- ARGV[3..] fields     strings  its fields, each followed by its value
-- Returns: KEPT, or OLDER when the copy that is there was read later
-- Movement: none
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua

local catalogue = whole(ARGV[1], 0, NUMBER_MAX)
local ttl = whole(ARGV[2], 1, NUMBER_MAX)
if not catalogue or not ttl or #ARGV % 2 == 1 then return redis.error_reply('INVALID_ARGUMENT keep') end
-- What is no number was not written here, and gives way.
local known = whole(redis.call('HGET', KEYS[1], 'catalogue') or nil, 0, NUMBER_MAX)
if known and known > catalogue then return 'OLDER' end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'catalogue', ARGV[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ttl)
return 'KEPT'
