-- adjust.lua: moves what Redis holds of a partition to what the ledger says, where the reconciler found that they differ.
-- Nothing is moved unless everything is still as it was judged: the epoch, each record, and no other adjustment since. A
-- figure that flows (stock) is moved by the difference that was found, so that orders may go on meanwhile.
-- KEYS[1]  meta       hash    the partition's numbers
-- KEYS[2]  stock      hash    units per SKU, and limits per SKU
-- KEYS[3]  held       hash    order id -> hold
-- KEYS[4]  limits     hash    buyer|sku -> units held and bought
-- KEYS[5]  movements  hash    movement id -> seq of its entry
-- KEYS[6]  stream     stream  the movement log
-- ARGV[1]  epoch      integer  the epoch that the caller knows
-- ARGV[2]  minSeq     integer  the highest seq that the caller has seen of this partition
-- ARGV[3]  movementId string   identity of the movement
-- ARGV[4]  judged     integer  the seq at which the differences were found
-- ARGV[5]  details    string   JSON, no line feed: who, why, what; for the ledger's record
-- ARGV[6]  count      integer  changes that follow, at most 1,000
-- ARGV[7..]  count times: key ('stock'|'held'|'limits'), field, value as it was judged ('' for none), value wanted ('' for
--            none); for the figures a, r and s of `stock` the value that is reached is the present one moved by the difference
-- Returns: {'OK', epoch, seq, 'MOVED'|'REPEATED'} | {'CHANGED', field, value} when something is not as it was judged
--          | {'BELOW_ZERO', field, value} when a figure would be | {'NOT_LOADED'} | {'STALE_EPOCH', epoch}
--          | {'REGRESSED', epoch, seq}
-- Movement: adjust, payload: movementId|details
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua
-- @include clock.lua

local CHANGES_MAX = 1000
local min_seq, judged, count = whole(ARGV[2], 0, NUMBER_MAX), whole(ARGV[4], 0, NUMBER_MAX), whole(ARGV[6], 1, CHANGES_MAX)
if not (min_seq and judged and count) or not is_name(ARGV[3]) or #ARGV ~= 6 + 4 * count or ARGV[5] == ''
  or string.find(ARGV[5], '\n', 1, true) then
  return redis.error_reply('INVALID_ARGUMENT adjust')
end
local key_of = { ['stock'] = KEYS[2], ['held'] = KEYS[3], ['limits'] = KEYS[4] }
for at = 7, #ARGV, 4 do
  local is_figure = ARGV[at] == 'stock' and string.find(ARGV[at + 1], '|[ars]$') ~= nil
  local is_number = whole(ARGV[at + 3], 0, NUMBER_MAX) ~= nil
  if not key_of[ARGV[at]] or ARGV[at + 1] == '' or (is_figure and not is_number) then
    return redis.error_reply('INVALID_ARGUMENT adjust change')
  end
end

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'adjusted')
if not meta[1] then return {'NOT_LOADED'} end
if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end
local seq = tonumber(meta[2])
if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end
local done = redis.call('HGET', KEYS[5], ARGV[3])
if done then return {'OK', meta[1], tonumber(done), 'REPEATED'} end
if tonumber(meta[3] or 0) > judged then return {'CHANGED', 'adjusted', meta[3]} end

local writes = {}
for at = 7, #ARGV, 4 do
  local key, field, was, wanted = key_of[ARGV[at]], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local value = redis.call('HGET', key, field) or ''
  if value ~= was then
    local number, before = whole(value, -NUMBER_MAX, NUMBER_MAX), whole(was, -NUMBER_MAX, NUMBER_MAX)
    local flows = ARGV[at] == 'stock' and string.find(field, '|[ars]$') ~= nil and seq > judged and number and before
    if not flows then return {'CHANGED', field, value} end
    local moved = number + tonumber(wanted) - before
    if moved < 0 then return {'BELOW_ZERO', field, value} end
    wanted = string.format('%.0f', moved)
  end
  writes[#writes + 1] = { key = key, field = field, value = wanted }
end

seq = seq + 1
local seq_text = string.format('%.0f', seq)
redis.call('XADD', KEYS[6], ARGV[1] .. '-' .. seq_text, 'kind', 'adjust', 'at', string.format('%.0f', now_ms()),
  'lines', ARGV[3] .. '|' .. ARGV[5])
redis.call('HSET', KEYS[1], 'seq', seq_text, 'adjusted', seq_text)
for _, write in ipairs(writes) do
  local target = write.key
  if write.value == '' then redis.call('HDEL', target, write.field)
  else redis.call('HSET', target, write.field, write.value) end
end
redis.call('HSET', KEYS[5], ARGV[3], seq_text)
return {'OK', meta[1], seq, 'MOVED'}
