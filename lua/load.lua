-- load.lua: the last step of a rebuild: lays a partition's stock and numbers down under a new epoch. Holds, limits,
-- idempotency records and movement ids were written before; until this script has run, no other can see the partition.
-- KEYS[1]  meta    hash    the partition's numbers, window and state
-- KEYS[2]  stock   hash    units per SKU
-- KEYS[3]  stream  stream  the movement log, new and empty
-- ARGV[1]  epoch        integer  the new epoch
-- ARGV[2]  reservation  integer  the highest reservation number ever given
-- ARGV[3]  opensAt      ms       first instant at which orders are accepted
-- ARGV[4]  closesAt     ms       first instant at which they no longer are; 0: never
-- ARGV[5]  state        string   open|paused|closed
-- ARGV[6]  ttl          ms       how long a reservation is held
-- ARGV[7]  group        string   consumer group of the persister
-- ARGV[8]  idemPeriod   integer  the day that the even or odd idempotency records were written for
-- ARGV[9]  count        integer  items that follow
-- ARGV[10..]  count times: sku, limit (0: none), available, reserved, sold (units)
-- Returns: {'OK', epoch, 0} | {'STALE_EPOCH', epoch} when the partition is there already, of this epoch or a later one
-- Movement: none
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua

local epoch, reservation = whole(ARGV[1], 1, NUMBER_MAX), whole(ARGV[2], 0, NUMBER_MAX)
local opens_at, closes_at = whole(ARGV[3], -NUMBER_MAX, NUMBER_MAX), whole(ARGV[4], 0, NUMBER_MAX)
local ttl, period, count = whole(ARGV[6], 1, NUMBER_MAX), whole(ARGV[8], 0, NUMBER_MAX), whole(ARGV[9], 0, 100000)
local state = ARGV[5]
if not (epoch and reservation and opens_at and closes_at and ttl and period and count and ARGV[7])
  or #ARGV ~= 9 + 5 * count or not (state == 'open' or state == 'paused' or state == 'closed') then
  return redis.error_reply('INVALID_ARGUMENT load')
end
for i = 10, #ARGV, 5 do
  if not is_name(ARGV[i]) then return redis.error_reply('INVALID_ARGUMENT load sku') end
  for figure = i + 1, i + 4 do
    if not whole(ARGV[figure], 0, NUMBER_MAX) then return redis.error_reply('INVALID_ARGUMENT load units') end
  end
end
local known = redis.call('HGET', KEYS[1], 'epoch')
if known and tonumber(known) >= epoch then return {'STALE_EPOCH', known} end

redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('XGROUP', 'CREATE', KEYS[3], ARGV[7], '0', 'MKSTREAM')
for i = 10, #ARGV, 5 do
  local sku = ARGV[i]
  redis.call('HSET', KEYS[2], sku .. '|l', ARGV[i + 1], sku .. '|a', ARGV[i + 2], sku .. '|r', ARGV[i + 3],
    sku .. '|s', ARGV[i + 4])
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'seq', '0', 'reservation', ARGV[2], 'persisted', ARGV[2],
  'opensAt', ARGV[3], 'closesAt', ARGV[4], 'state', state, 'ttl', ARGV[6], 'idemPeriod', ARGV[8])
return {'OK', ARGV[1], 0}
