-- Lua's unpack fails above about 7,000 values, so that wide commands go out in pieces of 4,000.
local CHUNK = 4000

-- HMGET of any number of fields; returns {field = value or false}.
local function hash_read(key, fields)
  local found = {}
  for from = 1, #fields, CHUNK do
    local to = math.min(from + CHUNK - 1, #fields)
    local values = redis.call('HMGET', key, unpack(fields, from, to))
    for i = from, to do found[fields[i]] = values[i - from + 1] end
  end
  return found
end

-- HSET of a flat list {field, value, field, value, ...} of any length.
local function hash_write(key, pairs_flat)
  for from = 1, #pairs_flat, CHUNK do
    redis.call('HSET', key, unpack(pairs_flat, from, math.min(from + CHUNK - 1, #pairs_flat)))
  end
end

-- HDEL of any number of fields.
local function hash_delete(key, fields)
  for from = 1, #fields, CHUNK do
    redis.call('HDEL', key, unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
  end
end
