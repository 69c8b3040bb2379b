#!lua flags=allow-oom
-- acknowledge.lua: after the persister's commit: acknowledges the entries, trims the log below them, and notes how far
-- Postgres has come, which is what the backlog cap of place.lua is measured against.
-- Only entries that Postgres has committed are trimmed, and none that is still pending or was never delivered, whatever
-- position the caller names; a cap by length would drop such entries. It may run when memory is full: it makes room.
-- KEYS[1]  meta    hash    the partition's numbers
-- KEYS[2]  stream  stream  the movement log
-- ARGV[1]  group       string   consumer group of the persister
-- ARGV[2]  position    id       epoch-seq up to which Postgres has committed
-- ARGV[3]  persisted   integer  highest reservation number committed; 0: none in this batch
-- ARGV[4..]  ids of the entries to acknowledge (at most 1,000)
-- Returns: number of entries acknowledged
-- Movement: none
-- Errors: INVALID_ARGUMENT when an argument is missing or out of range; nothing is written then
-- @include arguments.lua

-- The two numbers of an entry's id, or nil.
local function numbers_of(id)
  local epoch, seq = string.match(id or '', '^(%d+)%-(%d+)$')
  return whole(epoch, 0, NUMBER_MAX), whole(seq, 0, NUMBER_MAX)
end

-- The earlier of two ids.
local function earlier(a, b)
  local a_epoch, a_seq = numbers_of(a)
  local b_epoch, b_seq = numbers_of(b)
  if a_epoch < b_epoch or (a_epoch == b_epoch and a_seq < b_seq) then return a end
  return b
end

-- The last id that was delivered to the group, or nil when there is no such group (or no log).
local function last_delivered(key, group)
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  if groups.err then return nil end
  for _, fields in ipairs(groups) do
    local found = {}
    for i = 1, #fields, 2 do found[fields[i]] = fields[i + 1] end
    if found['name'] == group then return found['last-delivered-id'] end
  end
end

local persisted = whole(ARGV[3], 0, NUMBER_MAX)
local epoch, seq = numbers_of(ARGV[2])
if not (persisted and epoch and seq) or #ARGV > 1003 then
  return redis.error_reply('INVALID_ARGUMENT acknowledge')
end
for i = 4, #ARGV do
  if not numbers_of(ARGV[i]) then return redis.error_reply('INVALID_ARGUMENT acknowledge id') end
end

local acknowledged = 0
local delivered = last_delivered(KEYS[2], ARGV[1])
if delivered then
  if #ARGV > 3 then acknowledged = redis.call('XACK', KEYS[2], ARGV[1], unpack(ARGV, 4)) end
  local keep_from = earlier(ARGV[2], delivered)
  local oldest_pending = redis.call('XPENDING', KEYS[2], ARGV[1])[2]
  if oldest_pending then keep_from = earlier(keep_from, oldest_pending) end
  redis.call('XTRIM', KEYS[2], 'MINID', '~', keep_from)
end
local known = redis.call('HMGET', KEYS[1], 'epoch', 'persisted')
-- A meta that is missing (wiped) or of another epoch (rebuilt) is not this batch's to write.
if known[1] == string.match(ARGV[2], '^%d+') and persisted > tonumber(known[2]) then
  redis.call('HSET', KEYS[1], 'persisted', ARGV[3])
end
return acknowledged
