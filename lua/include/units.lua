-- Units by product as arguments say them: how many products, then name and units of each, no product twice.
local PRODUCTS_MAX, UNITS_MAX = 100, 1000000000

-- Returns: {sku, units, sku, units, ...} and the index of the argument after them; nil when they are not there, or out of
-- range.
local function read_units(at)
  local count = whole(ARGV[at], 1, PRODUCTS_MAX)
  if not count then return nil end
  local parts, seen = {}, {}
  for n = at + 1, at + 2 * count, 2 do
    local sku, units = ARGV[n], whole(ARGV[n + 1], 1, UNITS_MAX)
    if not is_name(sku) or seen[sku] or not units then return nil end
    seen[sku] = true
    parts[#parts + 1], parts[#parts + 2] = sku, units
  end
  return parts, at + 2 * count + 1
end
