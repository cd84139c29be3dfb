-- A job's record, and its place in the order of starts.
-- The record is a MessagePack of two: what the scripts read, its times counted from `created`, and `told`, which is
-- passed on unread.
local FIELDS = {
    'run', 'priority', 'created', 'ready', 'timed', 'expires', 'key', 'attempts', 'starts', 'lost', 'unknown',
    -- whether a row waits for its end, or will
    'row',
    -- whether it stands in no order yet, behind the holder of its key
    'behind',
    -- others wait for its end, which is told whole; it is left out of most records, and always has a row
    'awaited',
    -- where it stands while it waits, if it has a group or limits: left out of most records
    'lane',
}
local PAIR = '\146'
-- The second byte of the records that others wait for, without a lane and with one, and of the others with a lane.
local AWAITED, LANE_AWAITED, LANE = 158, 220, 159
local ALONE_AFTER, DEAD_AFTER = 2, 5
-- Whether there is anything that expires; parts/end.lua has looked.
local may_expire = true

local function read(raw)
    local behind, values = cmsgpack.unpack_one(raw, #PAIR)
    local job = {told = string.sub(raw, behind + 1)}
    for i, name in ipairs(FIELDS) do job[name] = values[i] end
    job.ready, job.timed = job.created + job.ready, job.timed and job.created + job.timed
    return job
end

local function write(job)
    local values = {}
    for i, name in ipairs(FIELDS) do values[i] = job[name] end
    if job.behind then values[12] = job.row or false end
    values[4], values[5] = job.ready - job.created, job.timed and job.timed - job.created
    if job.awaited then values[12], values[13], values[14] = true, job.behind or false, true else values[14] = nil end
    if job.lane then
        values[12], values[13], values[14], values[15] = job.row or false, job.behind or false, job.awaited or false, job.lane
        -- so that their number tells it
        if job.awaited then values[12], values[16] = true, true end
    end
    return PAIR .. cmsgpack.pack(values) .. job.told
end

-- How many fields a record has is told in its second byte: of a job whose end others wait for, and of one with a lane.
local function is_awaited(raw)
    local fields = string.byte(raw, 2)
    return fields == AWAITED or fields == LANE_AWAITED
end
local function lane_of(raw)
    local fields = string.byte(raw, 2)
    if fields ~= LANE and fields ~= LANE_AWAITED then return nil end
    local _, values = cmsgpack.unpack_one(raw, #PAIR)
    return values[15]
end

-- Its bytes sort by priority, larger first, then by time, then by id. With a lane it has a longer place, which sorts by
-- the priority, then by the lane, and ends in the same way.
local PLACE = 24
local function place_of(id, job)
    local first = string.char(100 - job.priority)
    local place = first .. struct.pack('>I7', job.ready) .. id
    return job.lane and first .. job.lane .. '\0' .. place or place
end
local function ready_of(place) return (struct.unpack('>I7', place, #place - PLACE + 2)) end
local function id_of(place) return string.sub(place, -16) end
local function has_lane(place) return #place > PLACE end
local function lane_in(place) return string.sub(place, 2, -PLACE - 2) end
-- The group of a lane, or of what stands in `held`; '' where it has none.
local function name_of(lane) return string.match(lane, '^[^%z\30\31]*') end

-- Whether a text comes before another, byte by byte: Lua's own `<` depends on the server's locale.
local function is_before(one, other)
    for i = 1, math.min(#one, #other) do
        local left, right = string.byte(one, i), string.byte(other, i)
        if left ~= right then return left < right end
    end
    return #one < #other
end

-- The lane and the id of what stands in `held`.
local function held_by(member)
    local lane = string.match(member, '^%Z*')
    return lane, string.sub(member, #lane + 2, #lane + 17)
end

-- An active job does not run any more: its group has room for another one. Returns its grant, if it had one and `started`
-- is 0, which counts no more then.
local function leave_lane(id, lane, started)
    local member = lane .. '\0' .. id
    local last = member .. '\255'
    if started == 0 then
        local grant = name_of(lane) .. '\0'
        for _, one in ipairs(call('ZRANGEBYLEX', held, '[' .. member, '[' .. last)) do
            if #one > #member then
                grant = grant .. string.sub(one, #member + 1)
                call('ZREM', group_pace, grant)
                call('ZREM', group_over, grant)
            end
        end
    end
    call('ZREMRANGEBYLEX', held, '[' .. member, '[' .. last)
end

-- Take a queued job out of the order.
local function take_out(id, job)
    local place, order = place_of(id, job), job.lane and lanes or waiting
    call('ZREM', order, place)
    call('ZREM', due, place)
    call('ZREM', alone, place)
    if job.expires then call('ZREM', expiring, id) end
end

-- Put a job into the order, where its record says; one that waits behind another stands in none.
local function put_in(id, job)
    if job.behind then return end
    local place, order = place_of(id, job), job.lane and lanes or waiting
    if job.lost >= ALONE_AFTER then
        call('ZADD', alone, job.ready, place)
    elseif job.ready <= now then
        call('ZADD', order, 0, place)
    else
        call('ZADD', due, job.ready, place)
    end
    if job.expires then
        call('ZADD', expiring, job.expires, id)
        may_expire = true
    end
end

-- The hold of a job that another broker's worker has: nobody's here (adopt.lua).
local NOBODY = string.rep('0', 32)
local ELSEWHERE = NOBODY .. ' 0 '
local function is_elsewhere(hold) return hold and string.sub(hold, 1, #ELSEWHERE) == ELSEWHERE end

-- Let one sleeping worker look; with `if_any`, if any job waits.
local function say_word(if_any)
    -- a hint: what somebody else put there must not break what is done already
    if redis.pcall('LLEN', wake) ~= 0 then return end
    if not if_any or call('ZCARD', waiting) > 0 or call('ZCARD', lanes) > 0 then call('RPUSH', wake, 1) end
end
