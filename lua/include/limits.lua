-- Gives units back to their buyers' limits: units_of is {buyer|sku = units}, fields its keys.
local function give_limits_back(key, fields, units_of)
  if #fields == 0 then return end
  local used = hash_read(key, fields)
  local kept, gone = {}, {}
  for _, field in ipairs(fields) do
    local left = tonumber(used[field] or 0) - units_of[field]
    if left > 0 then
      kept[#kept + 1] = field
      kept[#kept + 1] = string.format('%.0f', left)
    else
      gone[#gone + 1] = field
    end
  end
  hash_write(key, kept)
  hash_delete(key, gone)
end
