-- snapshot.lua: one consistent picture of a partition, for status pages and reconciliation.
-- KEYS[1]  meta    hash    the partition's numbers, window and state
-- KEYS[2]  stock   hash    units per SKU
-- KEYS[3]  held    hash    order id -> hold
-- KEYS[4]  stream  stream  the movement log
-- ARGV: none
-- Returns: {'OK', now, meta as a flat list, stock as a flat list, holds, stream length} | {'NOT_LOADED'}
-- Movement: none
-- Errors: none
-- @include clock.lua

local meta = redis.call('HGETALL', KEYS[1])
if #meta == 0 then return {'NOT_LOADED'} end
return {'OK', now_ms(), meta, redis.call('HGETALL', KEYS[2]), redis.call('HLEN', KEYS[3]), redis.call('XLEN', KEYS[4])}
