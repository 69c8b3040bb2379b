-- honour.lua: holds the units of one order that was accepted before Redis lost it, and whose receipt proves it.
-- They come from what a rebuild held back, which Postgres has set aside for this order, and what is missing there from what
-- is available. A held-back unit was never on sale, so it goes straight from nobody's to reserved: in between nobody else
-- can take it. Window, state and backlog are not asked: the order was accepted when they were.
-- KEYS[1]  meta        hash    the partition's numbers
-- KEYS[2]  stock       hash    units per SKU
-- KEYS[3]  held        hash    order id -> hold
-- KEYS[4]  limits      hash    buyer|sku -> units held and bought
-- KEYS[5]  recent:even hash    order id -> what became of its hold
-- KEYS[6]  recent:odd  hash    the same, odd periods
-- KEYS[7]  stream      stream  the movement log
-- ARGV[1]  epoch       integer  the epoch that the caller knows
-- ARGV[2]  minSeq      integer  the highest seq that the caller has seen of this partition
-- ARGV[3]  orderId     string   the order's own id
-- ARGV[4]  buyer       string   who ordered
-- ARGV[5]  payload     string   JSON, no line feed
-- ARGV[6]  count       integer  products that follow, each once
-- ARGV[7..]  count times: sku, units (1 to 10^9), how many of them come from the holdback
-- Returns: {'OK', epoch, seq, verdict}, the verdict as place.lua words it:
--            'HONOURED|reservation|deadline'          now
--            'KNOWN|reservation|deadline|epoch-seq'   by an earlier call
--            'LIMIT|sku|limit|used'                   would pass the buyer's limit: they have ordered anew since
--            'SOLD_OUT|sku|available'                 not that many units left beside the holdback
--            'UNKNOWN_SKU|sku'                        not sold here
--          | {'NOT_LOADED'} | {'STALE_EPOCH', epoch} | {'REGRESSED', epoch, seq}
-- Movement: place, payload: one line: orderId|reservation|payload; its field `from` says that a holdback was used
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua
-- @include clock.lua
-- @include rotation.lua
-- @include chunks.lua
local RECENT_MS, UNITS_MAX, PRODUCTS_MAX = 600000, 1000000000, 100

local min_seq, count = whole(ARGV[2], 0, NUMBER_MAX), whole(ARGV[6], 1, PRODUCTS_MAX)
local id, buyer, payload = ARGV[3], ARGV[4], ARGV[5]
if not (min_seq and count) or #ARGV ~= 6 + 3 * count or not is_plain(id) or not is_plain(buyer)
  or payload == '' or string.find(payload, '\n', 1, true) then
  return redis.error_reply('INVALID_ARGUMENT honour')
end
local skus, units, free, seen, stock_fields = {}, {}, {}, {}, {}
for n = 1, count do
  local sku, wanted = ARGV[4 + 3 * n], whole(ARGV[5 + 3 * n], 1, UNITS_MAX)
  local held_back = whole(ARGV[6 + 3 * n], 0, wanted or 0)
  if not is_name(sku) or seen[sku] or not wanted or not held_back then
    return redis.error_reply('INVALID_ARGUMENT honour units')
  end
  seen[sku] = true
  skus[n], units[n], free[n] = sku, wanted, wanted - held_back
  stock_fields[2 * n - 1], stock_fields[2 * n] = sku .. '|a', sku .. '|l'
end

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'reservation', 'ttl', 'recentPeriod')
if not meta[1] then return {'NOT_LOADED'} end
if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end
local seq = tonumber(meta[2])
if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end

local now = now_ms()
local recent, recent_before, _, valid, valid_before = rotation(now, RECENT_MS, meta[5], KEYS[5], KEYS[6])
local hold = redis.call('HGET', KEYS[3], id)
if hold then
  local number, until_ms, position = string.match(hold, '^(%d+)|(%d+)|([%d-]+)|')
  return {'OK', meta[1], seq, 'KNOWN|' .. number .. '|' .. until_ms .. '|' .. position}
end
local past = valid and redis.call('HGET', recent, id) or valid_before and redis.call('HGET', recent_before, id)
-- What a call was refused in the end is recorded there too; that says nothing of this one.
if past and string.sub(past, 1, 1) ~= 'X' then return {'OK', meta[1], seq, 'KNOWN|' .. string.sub(past, 3)} end

local stock = hash_read(KEYS[2], stock_fields)
local limit_fields = {}
for n = 1, count do
  if not stock[skus[n] .. '|a'] then return {'OK', meta[1], seq, 'UNKNOWN_SKU|' .. skus[n]} end
  if tonumber(stock[skus[n] .. '|l'] or 0) > 0 then limit_fields[#limit_fields + 1] = buyer .. '|' .. skus[n] end
end
local used = #limit_fields > 0 and hash_read(KEYS[4], limit_fields) or {}
local limit_writes, record = {}, ''
for n = 1, count do
  local sku, mark = skus[n], ''
  local max, available = tonumber(stock[sku .. '|l'] or 0), tonumber(stock[sku .. '|a'])
  if max > 0 then
    local field = buyer .. '|' .. sku
    local has = tonumber(used[field] or 0)
    if has + units[n] > max then return {'OK', meta[1], seq, 'LIMIT|' .. sku .. '|' .. max .. '|' .. has} end
    local w = #limit_writes
    limit_writes[w + 1], limit_writes[w + 2] = field, string.format('%.0f', has + units[n])
    mark = '!'
  end
  if available < free[n] then return {'OK', meta[1], seq, 'SOLD_OUT|' .. sku .. '|' .. available} end
  record = record .. (n > 1 and ',' or '') .. sku .. '=' .. string.format('%.0f', units[n]) .. mark
end

seq = seq + 1
local reservation = string.format('%.0f', tonumber(meta[3]) + 1)
local deadline = string.format('%.0f', now + tonumber(meta[4]))
local position = ARGV[1] .. '-' .. string.format('%.0f', seq)
redis.call('XADD', KEYS[7], position, 'kind', 'place', 'at', string.format('%.0f', now), 'deadline', deadline,
  'lines', id .. '|' .. reservation .. '|' .. payload, 'from', 'holdback')
redis.call('HSET', KEYS[1], 'seq', string.format('%.0f', seq), 'reservation', reservation)
for n = 1, count do
  redis.call('HINCRBY', KEYS[2], skus[n] .. '|r', string.format('%.0f', units[n]))
  if free[n] > 0 then redis.call('HINCRBY', KEYS[2], skus[n] .. '|a', string.format('%.0f', -free[n])) end
end
redis.call('HSET', KEYS[3], id, reservation .. '|' .. deadline .. '|' .. position .. '|' .. buyer .. '|' .. record)
if #limit_writes > 0 then hash_write(KEYS[4], limit_writes) end
return {'OK', meta[1], seq, 'HONOURED|' .. reservation .. '|' .. deadline}
