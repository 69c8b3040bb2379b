-- Milliseconds since the epoch by the server's own clock: the only clock that deadlines and windows know.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
