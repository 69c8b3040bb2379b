-- What settle.lua and release.lua share: reading which of the named holds still stand, under the reservation number the
-- caller names, so that a late or repeated call cannot touch somebody else's hold.
local RECENT_MS = 600000

-- Splits a held record: reservation, deadline, position, buyer, lines.
local function parse_hold(record)
  return string.match(record, '^(%d+)|(%d+)|([%d-]+)|([^|]*)|(.*)$')
end

-- Reads the holds named in ARGV[3..] (orderId, reservation) and decides one verdict each:
--   'MOVED'     the hold stands and will be moved
--   'ALREADY'   it was moved before (settled or released, see the recent record)
--   'MISMATCH'  the order holds stock under another reservation number
--   'ABSENT'    nothing is known of it
-- Returns: verdicts, the holds to move {id, reservation, deadline, position, buyer, lines}, number of pairs
local function standing_holds(held_key, recent, recent_before, recent_valid, recent_before_valid)
  local ids = {}
  for i = 3, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
  local held = hash_read(held_key, ids)
  local ended = recent_valid and hash_read(recent, ids) or {}
  local ended_before = recent_before_valid and hash_read(recent_before, ids) or {}
  local verdicts, moves, seen = {}, {}, {}
  for n = 1, #ids do
    local id, number = ids[n], ARGV[2 + 2 * n]
    local record = held[id]
    if seen[id] then
      verdicts[n] = 'ALREADY'
    elseif record then
      local reservation, deadline, position, buyer, lines = parse_hold(record)
      if reservation ~= number then
        verdicts[n] = 'MISMATCH'
      else
        verdicts[n] = 'MOVED'
        seen[id] = true
        moves[#moves + 1] = { id = id, reservation = reservation, deadline = deadline, position = position,
          buyer = buyer, lines = lines }
      end
    else
      local past = ended[id] or ended_before[id]
      -- X: place.lua refused the order for good; it never held anything.
      verdicts[n] = past and string.sub(past, 1, 1) ~= 'X' and 'ALREADY' or 'ABSENT'
    end
  end
  return verdicts, moves
end

-- Calls visit(sku, units, counts_to_limit) for each line of a hold.
local function each_line(lines, visit)
  for sku, units, mark in string.gmatch(lines, '([^=,]+)=(%d+)(!?)') do
    visit(sku, tonumber(units), mark == '!')
  end
end
