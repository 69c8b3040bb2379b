-- Every argument is checked before the first write, because an error after a write would not undo it.

-- A whole number from `min` to `max` in plain digits, or nil. Digits only: what tonumber takes beyond them ('1e3', ' 7',
-- 'inf') other commands refuse, and some of these texts are written as they are.
local function whole(text, min, max)
  if not text or not string.find(text, '^%-?%d+$') then return nil end
  local number = tonumber(text)
  if number < min or number > max then return nil end
  return number
end

-- Whether the text can stand in a record: not empty, and none of the characters that records are taken apart by.
local function is_name(text)
  return text ~= nil and string.find(text, '^[^|=,%c]+$') ~= nil
end

-- The same for ids and buyers, which stand only where `|` and a line feed part them: two plain searches, as it runs twice
-- an order on the hot path.
local function is_plain(text)
  return text ~= nil and text ~= '' and not string.find(text, '|', 1, true) and not string.find(text, '\n', 1, true)
end

-- Whole numbers are exact in a double up to here; no number of a partition may pass it.
local NUMBER_MAX = 9007199254740991
