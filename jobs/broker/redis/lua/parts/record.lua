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
}
local PAIR, AWAITED = '\146', 158
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
    return PAIR .. cmsgpack.pack(values) .. job.told
end

-- Whether others wait for the end of a record's job, which has a field more than any other: that is told in its second byte.
local function is_awaited(raw) return string.byte(raw, 2) == AWAITED end

-- Its bytes sort by priority, larger first, then by time, then by id.
local function place_of(id, job) return struct.pack('>BI7', 100 - job.priority, job.ready) .. id end
local function ready_of(place) return (struct.unpack('>I7', place, 2)) end
local function id_of(place) return string.sub(place, 9) end

-- Whether a place comes before another: Lua's own `<` depends on the server's locale.
local function is_before(one, other)
    for i = 1, #one do
        local left, right = string.byte(one, i), string.byte(other, i)
        if left ~= right then return left < right end
    end
    return false
end

-- Take a queued job out of the order.
local function take_out(id, job)
    local place = place_of(id, job)
    call('ZREM', waiting, place)
    call('ZREM', due, place)
    call('ZREM', alone, place)
    if job.expires then call('ZREM', expiring, id) end
end

-- Put a job into the order, where its record says; one that waits behind another stands in none.
local function put_in(id, job)
    if job.behind then return end
    local place = place_of(id, job)
    if job.lost >= ALONE_AFTER then
        call('ZADD', alone, job.ready, place)
    elseif job.ready <= now then
        call('ZADD', waiting, 0, place)
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

-- Let one sleeping worker look; with `waiting`, if any job waits there.
local function say_word(waiting)
    -- a hint: what somebody else put there must not break what is done already
    if redis.pcall('LLEN', wake) == 0 and (not waiting or call('ZCARD', waiting) > 0) then call('RPUSH', wake, 1) end
end
