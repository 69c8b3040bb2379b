-- take-back.lua: takes the units of refunded orders back: to available, and their buyers' limits with them, or written off
-- (sold to nothing; the limit stays used). A return's id makes it harmless to call again. Each return moves all of its
-- units or none.
-- KEYS[1]  meta       hash    the partition's numbers
-- KEYS[2]  stock      hash    units per SKU
-- KEYS[3]  limits     hash    buyer|sku -> units held and bought
-- KEYS[4]  movements  hash    movement id -> seq of its entry
-- KEYS[5]  stream     stream  the movement log
-- ARGV[1]  epoch      integer  the epoch that the caller knows
-- ARGV[2]  minSeq     integer  the highest seq that the caller has seen of this partition
-- ARGV[3]  restock    0|1      1: to available; 0: written off
-- ARGV[4]  count      integer  returns that follow, at most 100
-- ARGV[5..]  count times: movementId, orderId, buyer, number of products n (at most 100), then n times: sku, units (1 to
--            10^9)
-- Returns: {'OK', epoch, seq, verdict...} with one verdict a return, in order: 'MOVED' | 'REPEATED'
--            | 'INSUFFICIENT' when fewer units are sold than are to come back
--          | {'NOT_LOADED'} | {'STALE_EPOCH', epoch} | {'REGRESSED', epoch, seq}
-- Movement: return, payload: one line a return: movementId|orderId|buyer|restock|sku=units[!],...; `!` marks units that
--            counted to a limit and no longer do
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua
-- @include clock.lua
-- @include chunks.lua
-- @include limits.lua
-- @include units.lua
local RETURNS_MAX = 100

-- 1. The arguments.
local min_seq, restock = whole(ARGV[2], 0, NUMBER_MAX), whole(ARGV[3], 0, 1)
local count = whole(ARGV[4], 1, RETURNS_MAX)
if not (min_seq and restock and count) then return redis.error_reply('INVALID_ARGUMENT take-back') end
local ids, orders, buyers, given, sold_fields, limit_fields = {}, {}, {}, {}, {}, {}
local at = 5
for i = 1, count do
  local id, order, buyer, parts, next_at = ARGV[at], ARGV[at + 1], ARGV[at + 2], read_units(at + 3)
  if not parts or not is_name(id) or not is_name(order) or not is_plain(buyer) then
    return redis.error_reply('INVALID_ARGUMENT take-back units')
  end
  ids[i], orders[i], buyers[i], given[i], at = id, order, buyer, parts, next_at
  for part = 1, #parts, 2 do
    sold_fields[#sold_fields + 1] = parts[part] .. '|s'
    limit_fields[#limit_fields + 1] = buyer .. '|' .. parts[part]
  end
end
if at ~= #ARGV + 1 then return redis.error_reply('INVALID_ARGUMENT take-back count') end

-- 2. The partition, and what the verdicts need.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
if not meta[1] then return {'NOT_LOADED'} end
if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end
local seq = tonumber(meta[2])
if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end
local next_seq = string.format('%.0f', seq + 1)
local known, sold = hash_read(KEYS[4], ids), hash_read(KEYS[2], sold_fields)
local used = restock == 1 and hash_read(KEYS[3], limit_fields) or {}

-- 3. One verdict a return; each sees what those before it took back.
local back, freed_fields, freed, log, moved = {}, {}, {}, {}, {}

local function is_sold(parts)
  for part = 1, #parts, 2 do
    local sku = parts[part]
    if tonumber(sold[sku .. '|s'] or 0) - (back[sku] or 0) < parts[part + 1] then return false end
  end
  return true
end

-- Takes the units back. Returns them as the log names them: sku=units[!],...
local function take_back(buyer, parts)
  local record = {}
  for part = 1, #parts, 2 do
    local sku, units, field = parts[part], parts[part + 1], buyer .. '|' .. parts[part]
    back[sku] = (back[sku] or 0) + units
    local mark = ''
    if used[field] then
      if not freed[field] then freed_fields[#freed_fields + 1] = field end
      freed[field] = (freed[field] or 0) + units
      mark = '!'
    end
    record[#record + 1] = sku .. '=' .. string.format('%.0f', units) .. mark
  end
  return table.concat(record, ',')
end

local reply = {'OK', meta[1], seq}
for i = 1, count do
  if known[ids[i]] then
    reply[3 + i] = 'REPEATED'
  elseif not is_sold(given[i]) then
    reply[3 + i] = 'INSUFFICIENT'
  else
    reply[3 + i] = 'MOVED'
    known[ids[i]] = next_seq
    local m = #moved
    moved[m + 1], moved[m + 2] = ids[i], next_seq
    log[#log + 1] = ids[i] .. '|' .. orders[i] .. '|' .. buyers[i] .. '|' .. ARGV[3] .. '|' .. take_back(buyers[i], given[i])
  end
end
if #log == 0 then return reply end

-- 4. The writes.
redis.call('XADD', KEYS[5], ARGV[1] .. '-' .. next_seq, 'kind', 'return', 'at', string.format('%.0f', now_ms()),
  'lines', table.concat(log, '\n'))
redis.call('HSET', KEYS[1], 'seq', next_seq)
for sku, units in pairs(back) do
  redis.call('HINCRBY', KEYS[2], sku .. '|s', string.format('%.0f', -units))
  if restock == 1 then redis.call('HINCRBY', KEYS[2], sku .. '|a', string.format('%.0f', units)) end
end
give_limits_back(KEYS[3], freed_fields, freed)
hash_write(KEYS[4], moved)
reply[3] = seq + 1
return reply
