-- Whether a job is due that must run alone, while none such is active and nothing holds the queue.
--:include queue clock record

local held = call('HMGET', meta, 'paused', 'wait_until')
local first = tonumber(call('ZRANGE', alone, 0, 0, 'WITHSCORES')[2])
if not first or first > now or held[1] or (held[2] and tonumber(held[2]) > now) then return cmsgpack.pack(false) end
for _, id in ipairs(call('HKEYS', active)) do
    local raw = call('HGET', jobs, id)
    if raw and read(raw).lost >= ALONE_AFTER then return cmsgpack.pack(false) end
end
return cmsgpack.pack(true)
