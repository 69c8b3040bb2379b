-- open.lua: creates one partition of a sale, or lays a new configuration over it.
-- It never moves stock: units arrive by restock.lua only, so that a wiped Redis cannot be opened into selling from
-- nothing. Creation must be allowed by the caller (ARGV[2]), who may do so only while Postgres has the partition as new.
-- KEYS[1]  meta    hash    the partition's numbers, window and state
-- KEYS[2]  stock   hash    units per SKU
-- KEYS[3]  stream  stream  the movement log
-- ARGV[1]  epoch    integer  the epoch that Postgres holds
-- ARGV[2]  create   0|1      1: create the partition when it is absent
-- ARGV[3]  opensAt  ms       first instant at which orders are accepted
-- ARGV[4]  closesAt ms       first instant at which they no longer are; 0: never
-- ARGV[5]  state    string   open|paused|closed, as the operator wants it
-- ARGV[6]  ttl      ms       how long a reservation is held
-- ARGV[7]  group    string   consumer group of the persister
-- ARGV[8]  count    integer  items that follow
-- ARGV[9..]  count times: sku, limit (units a buyer may hold and have bought; 0: no limit)
-- Returns: {'OK', epoch, seq} | {'NOT_LOADED'} | {'STALE_EPOCH', epoch}
-- Movement: none
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua

local LIMIT_MAX = 1000000000
local state, count = ARGV[5], whole(ARGV[8], 0, NUMBER_MAX)
if not (whole(ARGV[1], 1, NUMBER_MAX) and whole(ARGV[2], 0, 1) and whole(ARGV[3], 0, NUMBER_MAX)
  and whole(ARGV[4], 0, NUMBER_MAX) and whole(ARGV[6], 1, NUMBER_MAX) and is_name(ARGV[7]) and count)
  or #ARGV ~= 8 + 2 * count or not (state == 'open' or state == 'paused' or state == 'closed') then
  return redis.error_reply('INVALID_ARGUMENT open')
end
for i = 9, #ARGV, 2 do
  if not is_name(ARGV[i]) then return redis.error_reply('INVALID_ARGUMENT open sku') end
  if not whole(ARGV[i + 1], 0, LIMIT_MAX) then return redis.error_reply('INVALID_ARGUMENT open limit') end
end

local known = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
local seq = known[2] or '0'
if not known[1] then
  if ARGV[2] ~= '1' then return {'NOT_LOADED'} end
  if redis.call('EXISTS', KEYS[3]) == 0 then
    redis.call('XGROUP', 'CREATE', KEYS[3], ARGV[7], '0', 'MKSTREAM')
  end
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', '0', 'reservation', '0', 'persisted', '0')
elseif known[1] ~= ARGV[1] then
  return {'STALE_EPOCH', known[1]}
end

redis.call('HSET', KEYS[1], 'opensAt', ARGV[3], 'closesAt', ARGV[4], 'state', state, 'ttl', ARGV[6])
for i = 9, #ARGV, 2 do
  local sku = ARGV[i]
  redis.call('HSETNX', KEYS[2], sku .. '|a', '0')
  redis.call('HSETNX', KEYS[2], sku .. '|r', '0')
  redis.call('HSETNX', KEYS[2], sku .. '|s', '0')
  redis.call('HSET', KEYS[2], sku .. '|l', ARGV[i + 1])
end
return {'OK', ARGV[1], seq}
