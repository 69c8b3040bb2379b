-- place.lua: decides up to 256 orders of one partition, in their order, and holds the stock of those it accepts.
-- Everything is checked before the first write (an error after a write would not undo it). Checks of one order see what
-- the orders before it in the same call took. An id that was accepted before gets its first verdict again, so a call whose
-- answer was lost is simply asked again. Refusals leave no trace, unless the call is asked again: then they become final,
-- so that the first call, should it still be on its way, cannot accept what the buyer was told is refused.
-- All accepted orders go into the log as one entry with one number.
-- KEYS[1]  meta        hash    the partition's numbers, window and state
-- KEYS[2]  stock       hash    units per SKU: sku|a available, sku|r reserved, sku|s sold, sku|l limit per buyer
-- KEYS[3]  held        hash    order id -> reservation|deadline|epoch-seq|buyer|sku=units[!],...   (! counts to a limit)
-- KEYS[4]  limits      hash    buyer|sku -> units held and bought
-- KEYS[5]  idem:even   hash    idempotency scope -> order id|payload hash, days with an even number
-- KEYS[6]  idem:odd    hash    the same, odd days
-- KEYS[7]  recent:even hash    order id -> what became of its hold, or X|verdict of a final refusal, even periods
-- KEYS[8]  recent:odd  hash    the same, odd periods
-- KEYS[9]  stream      stream  the movement log
-- ARGV[1]  epoch       integer  the epoch that the caller knows
-- ARGV[2]  minSeq      integer  the highest seq that the caller has seen of this partition
-- ARGV[3]  backlogMax  integer  accepted orders that Postgres does not have yet, at most; 0: no cap
-- ARGV[4]  askedAgain  0|1      1: an earlier call with these ids may have been executed, or may still be
-- ARGV[5]  count       integer  orders that follow
-- ARGV[6..]  count times: orderId, buyer, idempotency scope ('' for none), payload hash, payload (JSON, no line feed),
--            number of lines n, then n times: sku, units (1 to 10^9)
-- Returns: {'OK', epoch, seq, now, deadline, verdict...} with one verdict an order, in order:
--            integer                             accepted: its reservation number
--            'KNOWN|reservation|deadline|epoch-seq'  accepted by an earlier call
--            'REPLAY|orderId'                    the idempotency key led to this order before
--            'CONFLICT'                          the idempotency key was used with another payload
--            'NOT_OPEN|state|opensAt|closesAt'   outside the window, paused or closed
--            'LIMIT|sku|limit|used'              would pass the buyer's limit
--            'SOLD_OUT|sku|available'            not that many units left
--            'UNKNOWN_SKU|sku'                   not sold here
--            'BACKLOG'                           the log is too far ahead of Postgres
--          a refusal that became final is repeated as it was
--          | {'NOT_LOADED'} | {'STALE_EPOCH', epoch} | {'REGRESSED', epoch, seq}
-- Movement: place, payload: one line an order: orderId|reservation|payload; and what the call found, by which each of its
--            decisions can be explained: `script` (this text's version), `before` (sku=available:limit, of the SKUs that
--            were taken) and `used` (buyer|sku=units, of limited SKUs that the buyer had some of before)
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua
-- @include clock.lua
-- @include rotation.lua
-- @include chunks.lua
local DAY_MS, RECENT_MS, UNITS_MAX = 86400000, 600000, 1000000000
local EMPTY = {}
-- Replaced by the hash of this text when it is read.
local SCRIPT = '@version'

-- 1. Shape of the arguments, and what has to be read.
local count, asked_again = whole(ARGV[5], 1, 256), whole(ARGV[4], 0, 1)
local min_seq, backlog_max = whole(ARGV[2], 0, NUMBER_MAX), whole(ARGV[3], 0, NUMBER_MAX)
if not (count and asked_again and min_seq and backlog_max) then
  return redis.error_reply('INVALID_ARGUMENT place')
end
local arguments = #ARGV
local starts, line_counts, ids, scopes, stock_fields, seen_sku = {}, {}, {}, {}, {}, {}
local at = 6
for i = 1, count do
  local id, buyer, scope, lines = ARGV[at], ARGV[at + 1], ARGV[at + 2], whole(ARGV[at + 5], 1, arguments)
  if not lines then return redis.error_reply('INVALID_ARGUMENT place lines') end
  -- What would take a record or the log's entry apart at the wrong place must not get into them.
  if not is_plain(id) or not is_plain(buyer) or string.find(ARGV[at + 4], '\n', 1, true) then
    return redis.error_reply('INVALID_ARGUMENT place order')
  end
  starts[i], line_counts[i], ids[i] = at, lines, id
  if scope ~= '' then scopes[#scopes + 1] = scope end
  for line = at + 6, at + 4 + 2 * lines, 2 do
    local sku = ARGV[line]
    if not whole(ARGV[line + 1], 1, UNITS_MAX) then return redis.error_reply('INVALID_ARGUMENT place units') end
    if not seen_sku[sku] then
      seen_sku[sku] = true
      local n = #stock_fields
      stock_fields[n + 1], stock_fields[n + 2] = sku .. '|a', sku .. '|l'
    end
  end
  at = at + 6 + 2 * lines
end
if at ~= arguments + 1 then return redis.error_reply('INVALID_ARGUMENT place count') end

-- 2. The partition: loaded, of the caller's epoch, not behind what the caller has seen.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'reservation', 'persisted', 'opensAt', 'closesAt', 'state',
  'ttl', 'idemPeriod', 'recentPeriod')
if not meta[1] then return {'NOT_LOADED'} end
if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end
local seq = tonumber(meta[2])
if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end

local now = now_ms()
local deadline = now + tonumber(meta[8])
local deadline_text = string.format('%.0f', deadline)
local opens_at, closes_at, state = tonumber(meta[5]), tonumber(meta[6]), meta[7]
local not_open = nil
if state ~= 'open' or now < opens_at or (closes_at > 0 and now >= closes_at) then
  not_open = 'NOT_OPEN|' .. state .. '|' .. meta[5] .. '|' .. meta[6]
end
local reservation = tonumber(meta[3])
local room = backlog_max == 0 and count or backlog_max - (reservation - tonumber(meta[4]))

-- 3. Everything the verdicts need, in a few wide reads.
local idem, idem_before, idem_period, idem_valid, idem_before_valid =
  rotation(now, DAY_MS, meta[9], KEYS[5], KEYS[6])
local recent, recent_before, recent_period, recent_valid, recent_before_valid =
  rotation(now, RECENT_MS, meta[10], KEYS[7], KEYS[8])
local held = hash_read(KEYS[3], ids)
local ended = recent_valid and hash_read(recent, ids) or EMPTY
local ended_before = recent_before_valid and hash_read(recent_before, ids) or EMPTY
local keyed, keyed_before = EMPTY, EMPTY
if #scopes > 0 then
  keyed = idem_valid and hash_read(idem, scopes) or EMPTY
  keyed_before = idem_before_valid and hash_read(idem_before, scopes) or EMPTY
end
local stock = hash_read(KEYS[2], stock_fields)
local available, limit = {}, {}
for i = 1, #stock_fields, 2 do
  local sku = string.sub(stock_fields[i], 1, -3)
  available[sku] = tonumber(stock[stock_fields[i]])
  limit[sku] = tonumber(stock[stock_fields[i + 1]])
end
local limit_fields = {}
for i = 1, count do
  local start = starts[i]
  for line = start + 6, start + 4 + 2 * line_counts[i], 2 do
    if (limit[ARGV[line]] or 0) > 0 then limit_fields[#limit_fields + 1] = ARGV[start + 1] .. '|' .. ARGV[line] end
  end
end
local used = #limit_fields > 0 and hash_read(KEYS[4], limit_fields) or EMPTY

-- 4. One verdict an order. `new_*` is what the orders before it in this call have taken. This runs once an order, up to
-- 256 times a call, so it makes few strings and no tables.
local next_seq = string.format('%.0f', seq + 1)
local position = ARGV[1] .. '-' .. next_seq
local deadline_and_position = '|' .. deadline_text .. '|' .. position .. '|'
local reply = {'OK', meta[1], seq, now, deadline}
local new_scope, new_number, new_used, taken = {}, {}, {}, {}
local log, held_writes, idem_writes, logged = {}, {}, {}, 0
-- The lines of the order at hand, one entry a SKU.
local skus, units, lines = {}, {}, 0

-- Fills skus and units; lines of one SKU are summed before anything is compared. Returns a SKU that is not sold here.
local function read_lines(first, count_of_lines)
  lines = 0
  for line = first, first + 2 * count_of_lines - 2, 2 do
    local sku, n = ARGV[line], 1
    if not available[sku] then return sku end
    while n <= lines and skus[n] ~= sku do n = n + 1 end
    if n > lines then
      lines = n
      skus[n], units[n] = sku, 0
    end
    units[n] = units[n] + tonumber(ARGV[line + 1])
  end
end

local function used_of(field)
  return new_used[field] or tonumber(used[field] or 0)
end

-- Takes the units of the order at hand. Returns them as a held record names them: sku=units[!],...
local function take(buyer)
  local record = nil
  for n = 1, lines do
    local sku, wanted = skus[n], units[n]
    available[sku] = available[sku] - wanted
    taken[sku] = (taken[sku] or 0) + wanted
    local mark = ''
    if limit[sku] > 0 then
      local field = buyer .. '|' .. sku
      new_used[field] = used_of(field) + wanted
      mark = '!'
    end
    record = (record and record .. ',' or '') .. sku .. '=' .. string.format('%.0f', wanted) .. mark
  end
  return record
end

local function verdict(i)
  local start, id = starts[i], ids[i]
  local buyer, scope = ARGV[start + 1], ARGV[start + 2]
  if new_number[id] then
    return 'KNOWN|' .. string.format('%.0f', new_number[id]) .. '|' .. deadline_text .. '|' .. position
  end
  if held[id] then
    local number, until_ms, at_position = string.match(held[id], '^(%d+)|(%d+)|([%d-]+)|')
    return 'KNOWN|' .. number .. '|' .. until_ms .. '|' .. at_position
  end
  local past = ended[id] or ended_before[id]
  if past and string.sub(past, 1, 1) == 'X' then return string.sub(past, 3) end
  if past then return 'KNOWN|' .. string.sub(past, 3) end
  if scope ~= '' then
    local first = new_scope[scope] or keyed[scope] or keyed_before[scope]
    if first then
      local bar = string.find(first, '|', 1, true)
      if string.sub(first, bar + 1) ~= ARGV[start + 3] then return 'CONFLICT' end
      return 'REPLAY|' .. string.sub(first, 1, bar - 1)
    end
  end
  if not_open then return not_open end
  if room < 1 then return 'BACKLOG' end

  local unknown = read_lines(start + 6, line_counts[i])
  if unknown then return 'UNKNOWN_SKU|' .. unknown end
  for n = 1, lines do
    local max = limit[skus[n]]
    if max > 0 then
      local has = used_of(buyer .. '|' .. skus[n])
      if has + units[n] > max then return 'LIMIT|' .. skus[n] .. '|' .. max .. '|' .. has end
    end
  end
  for n = 1, lines do
    local left = available[skus[n]]
    if left < units[n] then return 'SOLD_OUT|' .. skus[n] .. '|' .. left end
  end

  reservation = reservation + 1
  room = room - 1
  local number = string.format('%.0f', reservation)
  new_number[id] = reservation
  -- Pieces, joined once for the whole entry: orderId|reservation|payload, a line feed between orders.
  local l = 6 * logged
  log[l + 1], log[l + 2], log[l + 3], log[l + 4], log[l + 5], log[l + 6] = id, '|', number, '|', ARGV[start + 4], '\n'
  logged = logged + 1
  held_writes[2 * logged - 1] = id
  held_writes[2 * logged] = number .. deadline_and_position .. buyer .. '|' .. take(buyer)
  if scope ~= '' then
    local record = id .. '|' .. ARGV[start + 3]
    new_scope[scope] = record
    local w = #idem_writes
    idem_writes[w + 1], idem_writes[w + 2] = scope, record
  end
  return reservation
end
local refusals = {}
for i = 1, count do
  local id = ids[i]
  reply[5 + i] = verdict(i)
  if asked_again == 1 and not (new_number[id] or held[id] or ended[id] or ended_before[id]) then
    local r = #refusals
    refusals[r + 1], refusals[r + 2] = id, 'X|' .. reply[5 + i]
  end
end
local recent_period_text = string.format('%.0f', recent_period)
if logged == 0 then
  if #refusals == 0 then return reply end
  -- Redis may refuse this first write (memory): no answer then, and no promise to any buyer.
  redis.call('HSET', KEYS[1], 'recentPeriod', recent_period_text)
  rotate(recent, recent_before, recent_valid, recent_before_valid)
  hash_write(recent, refusals)
  expire_bucket(recent, recent_period, RECENT_MS)
  return reply
end

-- 5. The writes. The entry goes first: it is the one that Redis itself may refuse (memory, a number that does not grow).
log[6 * logged] = nil -- the line feed after the last order
local before, used_before = {}, {}
for sku, total in pairs(taken) do
  before[#before + 1] = sku .. '=' .. string.format('%.0f', available[sku] + total) .. ':' .. limit[sku]
end
for field in pairs(new_used) do
  if used[field] then used_before[#used_before + 1] = field .. '=' .. used[field] end
end
redis.call('XADD', KEYS[9], position, 'kind', 'place', 'at', string.format('%.0f', now),
  'deadline', deadline_text, 'script', SCRIPT, 'before', table.concat(before, ','),
  'used', table.concat(used_before, '\n'), 'lines', table.concat(log))
redis.call('HSET', KEYS[1], 'seq', next_seq, 'reservation', string.format('%.0f', reservation),
  'idemPeriod', string.format('%.0f', idem_period), 'recentPeriod', recent_period_text)
rotate(idem, idem_before, idem_valid, idem_before_valid)
rotate(recent, recent_before, recent_valid, recent_before_valid)
for sku, total in pairs(taken) do
  redis.call('HINCRBY', KEYS[2], sku .. '|a', string.format('%.0f', -total))
  redis.call('HINCRBY', KEYS[2], sku .. '|r', string.format('%.0f', total))
end
hash_write(KEYS[3], held_writes)
if #idem_writes > 0 then
  hash_write(idem, idem_writes)
  expire_bucket(idem, idem_period, DAY_MS)
end
if #refusals > 0 then
  hash_write(recent, refusals)
  expire_bucket(recent, recent_period, RECENT_MS)
end
local limit_writes = {}
for field, total in pairs(new_used) do
  local w = #limit_writes
  limit_writes[w + 1], limit_writes[w + 2] = field, string.format('%.0f', total)
end
if #limit_writes > 0 then hash_write(KEYS[4], limit_writes) end
reply[3] = seq + 1
return reply
