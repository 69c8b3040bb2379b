-- settle.lua: turns the holds of paid orders into sales (reserved to sold).
-- A hold is moved only under the reservation number that the caller names. What was settled is forgotten here after
-- the recent record has run out; the buyer's limit keeps counting the units.
-- KEYS[1]  meta        hash    the partition's numbers
-- KEYS[2]  stock       hash    units per SKU
-- KEYS[3]  held        hash    order id -> hold
-- KEYS[4]  recent:even hash    order id -> what became of its hold
-- KEYS[5]  recent:odd  hash    the same, odd periods
-- KEYS[6]  stream      stream  the movement log
-- ARGV[1]  epoch       integer  the epoch that the caller knows
-- ARGV[2]  minSeq      integer  the highest seq that the caller has seen of this partition
-- ARGV[3..]  pairs: orderId, reservation number (at most 1,000 pairs)
-- Returns: {'OK', epoch, seq, verdict...}, a verdict a pair: 'MOVED' | 'ALREADY' | 'MISMATCH' | 'ABSENT'
--          | {'NOT_LOADED'} | {'STALE_EPOCH', epoch} | {'REGRESSED', epoch, seq}
-- Movement: settle, payload: one line a hold: orderId|reservation|sku=units[!],...
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua
-- @include clock.lua
-- @include rotation.lua
-- @include chunks.lua
-- @include limits.lua
-- @include holds.lua

return end_holds('settle', 'S', 's', nil, function(id, at, lines)
  redis.call('XADD', KEYS[6], id, 'kind', 'settle', 'at', at, 'lines', lines)
end)
