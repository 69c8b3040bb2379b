-- revive.lua: takes the units of cancelled orders again whose payment succeeded after all (available to reserved), each
-- under a new reservation number. Their limits count again; window, state and backlog are not asked: the orders were
-- accepted when they were. Each order gets all of its units or none.
-- A verdict is final, either way: a call that comes late, after its caller acted upon a refusal, takes nothing any more.
-- KEYS[1]  meta       hash    the partition's numbers
-- KEYS[2]  stock      hash    units per SKU
-- KEYS[3]  held       hash    order id -> hold
-- KEYS[4]  limits     hash    buyer|sku -> units held and bought
-- KEYS[5]  movements  hash    revive:orderId -> reservation|epoch-seq, or X|verdict of a refusal
-- KEYS[6]  stream     stream  the movement log
-- ARGV[1]  epoch      integer  the epoch that the caller knows
-- ARGV[2]  minSeq     integer  the highest seq that the caller has seen of this partition
-- ARGV[3]  count      integer  orders that follow, at most 100
-- ARGV[4..]  count times: orderId, buyer, number of products n (at most 100), then n times: sku, units (1 to 10^9)
-- Returns: {'OK', epoch, seq, verdict...} with one verdict an order, in order:
--            'REVIVED|reservation|epoch-seq'  now, by the entry of that number
--            'KNOWN|reservation|epoch-seq'    by an earlier call
--            'LIMIT|sku|limit|used'           would pass the buyer's limit: they have ordered anew since
--            'SOLD_OUT|sku|available'         not that many units left
--            'UNKNOWN_SKU|sku'                not sold here
--          a refusal is repeated as it was
--          | {'NOT_LOADED'} | {'STALE_EPOCH', epoch} | {'REGRESSED', epoch, seq}
-- Movement: revive, payload: one line an order: orderId|reservation|buyer|sku=units[!],...
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua
-- @include clock.lua
-- @include chunks.lua
-- @include units.lua
local ORDERS_MAX = 100

-- 1. The arguments.
local min_seq, count = whole(ARGV[2], 0, NUMBER_MAX), whole(ARGV[3], 1, ORDERS_MAX)
if not (min_seq and count) then return redis.error_reply('INVALID_ARGUMENT revive') end
local ids, buyers, wanted, records, stock_fields, limit_fields = {}, {}, {}, {}, {}, {}
local at = 4
for i = 1, count do
  local id, buyer, parts, next_at = ARGV[at], ARGV[at + 1], read_units(at + 2)
  if not parts or not is_name(id) or not is_plain(buyer) then
    return redis.error_reply('INVALID_ARGUMENT revive order')
  end
  ids[i], buyers[i], wanted[i], records[i], at = id, buyer, parts, 'revive:' .. id, next_at
  for part = 1, #parts, 2 do
    local f = #stock_fields
    stock_fields[f + 1], stock_fields[f + 2] = parts[part] .. '|a', parts[part] .. '|l'
    limit_fields[#limit_fields + 1] = buyer .. '|' .. parts[part]
  end
end
if at ~= #ARGV + 1 then return redis.error_reply('INVALID_ARGUMENT revive count') end

-- 2. The partition, and what the verdicts need.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'reservation')
if not meta[1] then return {'NOT_LOADED'} end
if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end
local seq = tonumber(meta[2])
if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end
local now = string.format('%.0f', now_ms())
local next_seq = string.format('%.0f', seq + 1)
local position = ARGV[1] .. '-' .. next_seq
local reservation = tonumber(meta[3])
local known, held = hash_read(KEYS[5], records), hash_read(KEYS[3], ids)
local stock, used = hash_read(KEYS[2], stock_fields), hash_read(KEYS[4], limit_fields)

-- 3. One verdict an order; each sees what those before it took.
local taken, new_used, log, held_writes, verdict_writes = {}, {}, {}, {}, {}

-- Why the order cannot have its units, or nil.
local function refusal(buyer, parts)
  for part = 1, #parts, 2 do
    local sku, units = parts[part], parts[part + 1]
    local available, max = tonumber(stock[sku .. '|a']), tonumber(stock[sku .. '|l'] or 0)
    if not available then return 'UNKNOWN_SKU|' .. sku end
    local field = buyer .. '|' .. sku
    local has = new_used[field] or tonumber(used[field] or 0)
    if max > 0 and has + units > max then return 'LIMIT|' .. sku .. '|' .. max .. '|' .. has end
    local left = available - (taken[sku] or 0)
    if left < units then return 'SOLD_OUT|' .. sku .. '|' .. string.format('%.0f', left) end
  end
end

-- Takes the units. Returns them as a held record names them: sku=units[!],...
local function take(buyer, parts)
  local record = {}
  for part = 1, #parts, 2 do
    local sku, units = parts[part], parts[part + 1]
    local counts = tonumber(stock[sku .. '|l'] or 0) > 0
    taken[sku] = (taken[sku] or 0) + units
    local field = buyer .. '|' .. sku
    if counts then new_used[field] = (new_used[field] or tonumber(used[field] or 0)) + units end
    record[#record + 1] = sku .. '=' .. string.format('%.0f', units) .. (counts and '!' or '')
  end
  return table.concat(record, ',')
end

local function verdict(id, buyer, parts, record)
  local before = known[record]
  if before and string.sub(before, 1, 2) == 'X|' then return string.sub(before, 3) end
  if before then return 'KNOWN|' .. before end
  if held[id] then -- by a call before a rebuild, which has forgotten the verdict
    local number, at_position = string.match(held[id], '^(%d+)|%d+|([%d-]+)|')
    return 'KNOWN|' .. number .. '|' .. at_position
  end
  local refused = refusal(buyer, parts)
  local w = #verdict_writes
  if refused then
    known[record] = 'X|' .. refused
    verdict_writes[w + 1], verdict_writes[w + 2] = record, known[record]
    return refused
  end
  reservation = reservation + 1
  local number = string.format('%.0f', reservation)
  local lines = take(buyer, parts)
  known[record] = number .. '|' .. position
  verdict_writes[w + 1], verdict_writes[w + 2] = record, known[record]
  log[#log + 1] = id .. '|' .. number .. '|' .. buyer .. '|' .. lines
  -- It is paid: the deadline of a hold says nothing of it.
  local h = #held_writes
  held_writes[h + 1] = id
  held_writes[h + 2] = number .. '|' .. now .. '|' .. position .. '|' .. buyer .. '|' .. lines
  return 'REVIVED|' .. number .. '|' .. position
end

local reply = {'OK', meta[1], seq}
for i = 1, count do reply[3 + i] = verdict(ids[i], buyers[i], wanted[i], records[i]) end

-- 4. The writes.
if #log > 0 then
  redis.call('XADD', KEYS[6], position, 'kind', 'revive', 'at', now, 'lines', table.concat(log, '\n'))
  redis.call('HSET', KEYS[1], 'seq', next_seq, 'reservation', string.format('%.0f', reservation))
  for sku, units in pairs(taken) do
    redis.call('HINCRBY', KEYS[2], sku .. '|a', string.format('%.0f', -units))
    redis.call('HINCRBY', KEYS[2], sku .. '|r', string.format('%.0f', units))
  end
  hash_write(KEYS[3], held_writes)
  local limit_writes = {}
  for field, total in pairs(new_used) do
    local w = #limit_writes
    limit_writes[w + 1], limit_writes[w + 2] = field, string.format('%.0f', total)
  end
  hash_write(KEYS[4], limit_writes)
  reply[3] = seq + 1
end
hash_write(KEYS[5], verdict_writes)
return reply
