-- What settle.lua and release.lua are made of: holds end, each under the reservation number that the caller names, so that
-- a late or repeated call cannot touch somebody else's hold. They differ in where the units go, in the buyer's limit, and
-- in the kind of their log entry.
local RECENT_MS = 600000

-- Takes a held record apart: reservation, deadline|position, buyer, lines.
local function parse_hold(record)
  return string.match(record, '^(%d+)|(%d+|[%d-]+)|([^|]*)|(.*)$')
end

-- The lines of a hold: {sku, units, counts_to_limit, ...}. Most holds of a call read alike: each text is read once.
local lines_of = {}
local function read_lines(text)
  local lines = lines_of[text]
  if not lines then
    lines = {}
    for sku, units, counted in string.gmatch(text, '([^=,]+)=(%d+)(!?)') do
      local n = #lines
      lines[n + 1], lines[n + 2], lines[n + 3] = sku, tonumber(units), counted == '!'
    end
    lines_of[text] = lines
  end
  return lines
end

-- What became of those of the ids that hold nothing: 'ALREADY' (settled or released before) or 'ABSENT' (nothing known).
local function past_verdicts(ids, recent, recent_before, valid, valid_before)
  local ended = valid and hash_read(recent, ids) or {}
  local ended_before = valid_before and hash_read(recent_before, ids) or {}
  local verdicts = {}
  for _, id in ipairs(ids) do
    local past = ended[id] or ended_before[id]
    -- X: place.lua refused the order for good; it never held anything.
    verdicts[id] = past and string.sub(past, 1, 1) ~= 'X' and 'ALREADY' or 'ABSENT'
  end
  return verdicts
end

-- Ends the holds named in ARGV[3..] and returns the script's reply. name: the script's. mark: how the recent record names
-- the end. goes_to: the stock's figure that the units go to from 'r'. limits_key: where they stop to count, or nil.
-- write_entry(id, at, lines) appends the movement; it is the first write, the one that Redis itself may refuse.
local function end_holds(name, mark, goes_to, limits_key, write_entry)
  local min_seq = whole(ARGV[2], 0, NUMBER_MAX)
  if not min_seq or #ARGV < 4 or #ARGV > 2002 or #ARGV % 2 ~= 0 then
    return redis.error_reply('INVALID_ARGUMENT ' .. name)
  end
  local meta = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'recentPeriod')
  if not meta[1] then return {'NOT_LOADED'} end
  if meta[1] ~= ARGV[1] then return {'STALE_EPOCH', meta[1]} end
  local seq = tonumber(meta[2])
  if seq < min_seq then return {'REGRESSED', meta[1], meta[2]} end
  local now = now_ms()
  local recent, recent_before, period, valid, valid_before = rotation(now, RECENT_MS, meta[3], KEYS[4], KEYS[5])

  -- 1. One verdict a pair. This runs once a hold, up to 1,000 times a call, so it makes few strings and no tables.
  local ids = {}
  for i = 3, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
  local held = hash_read(KEYS[3], ids)
  local reply, absent = {'OK', meta[1], seq}, {}
  local gone, ended, log, limit_fields, limit_units, lines_times = {}, {}, {}, {}, {}, {}
  local moved = 0
  for n = 1, #ids do
    local id, number = ids[n], ARGV[2 + 2 * n]
    local record = held[id]
    if record == 0 then
      reply[3 + n] = 'ALREADY' -- named twice in this call
    elseif not record then
      absent[#absent + 1] = id
    else
      local reservation, deadline_and_position, buyer, lines = parse_hold(record)
      if reservation ~= number then
        reply[3 + n] = 'MISMATCH'
      else
        reply[3 + n] = 'MOVED'
        held[id] = 0
        moved = moved + 1
        gone[moved] = id
        log[moved] = id .. '|' .. number .. '|' .. lines
        ended[2 * moved - 1] = id
        ended[2 * moved] = mark .. '|' .. number .. '|' .. deadline_and_position
        lines_times[lines] = (lines_times[lines] or 0) + 1
        if limits_key then
          local parts = read_lines(lines)
          for part = 1, #parts, 3 do
            if parts[part + 2] then
              local field = buyer .. '|' .. parts[part]
              if not limit_units[field] then limit_fields[#limit_fields + 1] = field end
              limit_units[field] = (limit_units[field] or 0) + parts[part + 1]
            end
          end
        end
      end
    end
  end
  if #absent > 0 then
    local past = past_verdicts(absent, recent, recent_before, valid, valid_before)
    for n = 1, #ids do reply[3 + n] = reply[3 + n] or past[ids[n]] end
  end
  if moved == 0 then return reply end

  -- 2. The writes.
  local units_of = {}
  for text, times in pairs(lines_times) do
    local parts = read_lines(text)
    for part = 1, #parts, 3 do
      units_of[parts[part]] = (units_of[parts[part]] or 0) + times * parts[part + 1]
    end
  end
  local seq_text = string.format('%.0f', seq + 1)
  write_entry(ARGV[1] .. '-' .. seq_text, string.format('%.0f', now), table.concat(log, '\n'))
  redis.call('HSET', KEYS[1], 'seq', seq_text, 'recentPeriod', string.format('%.0f', period))
  rotate(recent, recent_before, valid, valid_before)
  for sku, units in pairs(units_of) do
    redis.call('HINCRBY', KEYS[2], sku .. '|r', string.format('%.0f', -units))
    redis.call('HINCRBY', KEYS[2], sku .. '|' .. goes_to, string.format('%.0f', units))
  end
  if limits_key then give_limits_back(limits_key, limit_fields, limit_units) end
  hash_delete(KEYS[3], gone)
  hash_write(recent, ended)
  expire_bucket(recent, period, RECENT_MS)
  reply[3] = seq + 1
  return reply
end
