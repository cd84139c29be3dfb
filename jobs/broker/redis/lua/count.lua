-- The queue in numbers.
-- Result: {waiting, scheduled, active, since when the oldest due job waits or false, paused, wait_until or
--   false, how many records have vanished so far, paused tags or false}.
-- The oldest is sought by its priority: as many steps as there are priorities with a job that waits, and lanes of those;
-- of more than some thousand lanes the others are left out.
-- An error where a key of the queue holds what is not ours, as any script meets that touches it.
--:include queue clock record kinds

local foreign = is_foreign()
if foreign then return foreign end

local MOST_LANES = 5000
local overdue, overdue_alone = call('ZCOUNT', due, '-inf', now), call('ZCOUNT', alone, '-inf', now)
local oldest = false
local function older(moment)
    moment = tonumber(moment)
    if moment and moment <= now and (not oldest or moment < oldest) then oldest = moment end
end
older(call('ZRANGE', due, 0, 0, 'WITHSCORES')[2])
older(call('ZRANGE', alone, 0, 0, 'WITHSCORES')[2])
local place = call('ZRANGE', waiting, 0, 0)[1]
while place do
    older(ready_of(place))
    local next_priority = '[' .. string.char(string.byte(place) + 1)
    place = call('ZRANGEBYLEX', waiting, next_priority, '+', 'LIMIT', 0, 1)[1]
end
place = call('ZRANGE', lanes, 0, 0)[1]
for _ = 1, place and MOST_LANES or 0 do
    older(ready_of(place))
    local next_lane = '[' .. string.sub(place, 1, -PLACE - 2) .. '\1'
    place = call('ZRANGEBYLEX', lanes, next_lane, '+', 'LIMIT', 0, 1)[1]
    if not place then break end
end
local blocks = call('HMGET', meta, 'paused', 'wait_until', 'paused_tags')
local wait_until = blocks[2] and tonumber(blocks[2]) > now and tonumber(blocks[2]) or false
return cmsgpack.pack({
    call('ZCARD', waiting) + call('ZCARD', lanes) + overdue + overdue_alone + call('HLEN', behind),
    call('ZCARD', due) - overdue + call('ZCARD', alone) - overdue_alone,
    call('HLEN', active), oldest, blocks[1] ~= false, wait_until, tonumber(call('HGET', meta, 'vanished') or 0),
    blocks[3] and cmsgpack.unpack(blocks[3]),
})
