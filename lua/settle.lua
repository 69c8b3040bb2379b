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
-- @include holds.lua

local min_seq = whole(ARGV[2], 0, NUMBER_MAX)
if not min_seq or #ARGV < 4 or #ARGV > 2002 or #ARGV % 2 ~= 0 then
  return redis.error_reply('INVALID_ARGUMENT settle')
end
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'recentPeriod')
if not meta[1] then return {'NOT_LOADED'} end
if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end
local seq = tonumber(meta[2])
if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end

local now = now_ms()
local recent, recent_before, period, valid, valid_before = rotation(now, RECENT_MS, meta[3], KEYS[4], KEYS[5])
local verdicts, moves = standing_holds(KEYS[3], recent, recent_before, valid, valid_before)
if #moves > 0 then
  seq = seq + 1
  local log, ended, gone, units_of = {}, {}, {}, {}
  for n, move in ipairs(moves) do
    log[n] = move.id .. '|' .. move.reservation .. '|' .. move.lines
    gone[n] = move.id
    ended[2 * n - 1] = move.id
    ended[2 * n] = 'S|' .. move.reservation .. '|' .. move.deadline .. '|' .. move.position
    each_line(move.lines, function(sku, units) units_of[sku] = (units_of[sku] or 0) + units end)
  end
  local seq_text = string.format('%.0f', seq)
  redis.call('XADD', KEYS[6], ARGV[1] .. '-' .. seq_text, 'kind', 'settle', 'at', string.format('%.0f', now),
    'lines', table.concat(log, '\n'))
  redis.call('HSET', KEYS[1], 'seq', seq_text, 'recentPeriod', string.format('%.0f', period))
  rotate(recent, recent_before, valid, valid_before)
  for sku, units in pairs(units_of) do
    redis.call('HINCRBY', KEYS[2], sku .. '|r', string.format('%.0f', -units))
    redis.call('HINCRBY', KEYS[2], sku .. '|s', string.format('%.0f', units))
  end
  hash_delete(KEYS[3], gone)
  hash_write(recent, ended)
end
local reply = {'OK', meta[1], seq}
for n = 1, #verdicts do reply[3 + n] = verdicts[n] end
return reply
