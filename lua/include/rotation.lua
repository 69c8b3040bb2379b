-- Two hashes take turns: the bucket of the current period is written, the one before it is still read. A record thus
-- lives between one and two periods, and forgetting costs one UNLINK (Redis 7.0 has no TTL on hash fields).
-- Returns: the current key, the previous key, the period number; either key is false when what it holds is stale.
local function rotation(now_ms, period_ms, stored, even_key, odd_key)
  local period = math.floor(now_ms / period_ms)
  local last = tonumber(stored) or period
  if period < last then period = last end -- the clock stepped back: stay in the newer period
  local current, previous = even_key, odd_key
  if period % 2 == 1 then current, previous = odd_key, even_key end
  local age = period - last
  return current, previous, period, age == 0, age <= 1
end

-- Empties the buckets that the turn of the period made stale; call it after the last check, before the first record.
local function rotate(current, previous, current_valid, previous_valid)
  if not current_valid then redis.call('UNLINK', current) end
  if not previous_valid then redis.call('UNLINK', previous) end
end

-- Lets a bucket end by itself when it turns stale: nobody may call the partition any more. Call it after each write.
local function expire_bucket(key, period, period_ms)
  redis.call('PEXPIREAT', key, string.format('%.0f', (period + 2) * period_ms), 'NX')
end
