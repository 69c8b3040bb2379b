-- restock.lua: adds units of one SKU to a partition, or takes unsold ones away (a write-off).
-- An increase was committed in Postgres before; a decrease moves here first. The movement's id makes it harmless to call
-- again: the first call's number is repeated, even when a rebuild has begun a new epoch since.
-- KEYS[1]  meta       hash    the partition's numbers
-- KEYS[2]  stock      hash    units per SKU
-- KEYS[3]  movements  hash    movement id -> seq of its entry
-- KEYS[4]  stream     stream  the movement log
-- ARGV[1]  epoch      integer  the epoch that the caller knows
-- ARGV[2]  minSeq     integer  the highest seq that the caller has seen of this partition
-- ARGV[3]  movementId string   identity of the movement
-- ARGV[4]  sku        string   what is moved
-- ARGV[5]  quantity   integer  units, at most 10^12; negative: written off
-- Returns: {'OK', epoch, seq, 'MOVED'|'REPEATED'} | {'INSUFFICIENT', available} | {'UNKNOWN_SKU'} | {'NOT_LOADED'}
--          | {'STALE_EPOCH', epoch} | {'REGRESSED', epoch, seq}
-- Movement: restock, payload: movementId|sku|quantity
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua
-- @include clock.lua

local UNITS_MAX = 1000000000000
local quantity, min_seq = whole(ARGV[5], -UNITS_MAX, UNITS_MAX), whole(ARGV[2], 0, NUMBER_MAX)
if #ARGV ~= 5 or not (quantity and min_seq and is_name(ARGV[3])) or quantity == 0 then
  return redis.error_reply('INVALID_ARGUMENT restock')
end
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
if not meta[1] then return {'NOT_LOADED'} end
if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end
local seq = tonumber(meta[2])
if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end

local done = redis.call('HGET', KEYS[3], ARGV[3])
if done then return {'OK', meta[1], tonumber(done), 'REPEATED'} end
local available = tonumber(redis.call('HGET', KEYS[2], ARGV[4] .. '|a'))
if not available then return {'UNKNOWN_SKU'} end
if available + quantity < 0 then return {'INSUFFICIENT', available} end

seq = seq + 1
redis.call('XADD', KEYS[4], ARGV[1] .. '-' .. string.format('%.0f', seq), 'kind', 'restock',
  'at', string.format('%.0f', now_ms()), 'lines', ARGV[3] .. '|' .. ARGV[4] .. '|' .. ARGV[5])
redis.call('HSET', KEYS[1], 'seq', string.format('%.0f', seq))
redis.call('HINCRBY', KEYS[2], ARGV[4] .. '|a', ARGV[5])
redis.call('HSET', KEYS[3], ARGV[3], string.format('%.0f', seq))
return {'OK', meta[1], seq, 'MOVED'}
