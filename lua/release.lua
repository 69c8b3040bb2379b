#!lua flags=allow-oom
-- release.lua: gives the held units of cancelled orders back (reserved to available), and their buyers' limits with them.
-- A hold is moved only under the reservation number that the caller names. It may run when memory is full: it is what
-- makes room.
-- KEYS[1]  meta        hash    the partition's numbers
-- KEYS[2]  stock       hash    units per SKU
-- KEYS[3]  held        hash    order id -> hold
-- KEYS[4]  recent:even hash    order id -> what became of its hold
-- KEYS[5]  recent:odd  hash    the same, odd periods
-- KEYS[6]  stream      stream  the movement log
-- KEYS[7]  limits      hash    buyer|sku -> units held and bought
-- ARGV[1]  epoch       integer  the epoch that the caller knows
-- ARGV[2]  minSeq      integer  the highest seq that the caller has seen of this partition
-- ARGV[3..]  pairs: orderId, reservation number (at most 1,000 pairs)
-- Returns: {'OK', epoch, seq, verdict...}, a verdict a pair: 'MOVED' | 'ALREADY' | 'MISMATCH' | 'ABSENT'
--          | {'NOT_LOADED'} | {'STALE_EPOCH', epoch} | {'REGRESSED', epoch, seq}
-- Movement: release, payload: one line a hold: orderId|reservation|sku=units[!],...
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua
-- @include clock.lua
-- @include rotation.lua
-- @include chunks.lua
-- @include limits.lua
-- @include holds.lua

return end_holds('release', 'R', 'a', KEYS[7], function(id, at, lines)
  redis.call('XADD', KEYS[6], id, 'kind', 'release', 'at', at, 'lines', lines)
end)
