-- The server's clock, read once: it moves while a script runs.
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- Note that something counts from now: see rewind.lua.
local function note_time()
    if now > tonumber(call('HGET', meta, 'latest') or 0) then call('HSET', meta, 'latest', now) end
end
