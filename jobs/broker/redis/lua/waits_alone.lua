-- Whether a job is due that must run alone, while none such is active and nothing holds the queue.
--:include queue clock record groups

local blocks = call('HMGET', meta, 'paused', 'wait_until', 'paused_tags')
local paused_tags = blocks[3] and cmsgpack.unpack(blocks[3])
--:include tags
local first = tonumber(call('ZRANGE', alone, 0, 0, 'WITHSCORES')[2])
if not first or first > now or blocks[1] or (blocks[2] and tonumber(blocks[2]) > now) then return cmsgpack.pack(false) end
if paused_tags or call('HLEN', groups) > 0 then
    -- some whose group does not wait, nor one of its tags
    local own, is_any = own_rules(), false
    for _, place in ipairs(call('ZRANGEBYSCORE', alone, '-inf', now, 'LIMIT', 0, 1000)) do
        local rules = has_lane(place) and own[name_of(lane_in(place))]
        local waits = rules and (rules[1] or (rules[5] and rules[5] > now))
        local raw = paused_tags and call('HGET', jobs, id_of(place))
        is_any = is_any or not (waits or (raw and paused_tag_of(raw)))
    end
    if not is_any then return cmsgpack.pack(false) end
end
for _, id in ipairs(call('HKEYS', active)) do
    local raw = call('HGET', jobs, id)
    if raw and read(raw).lost >= ALONE_AFTER then return cmsgpack.pack(false) end
end
return cmsgpack.pack(true)
