-- Claim jobs that are due.

-- Jobs whose time has come join those that wait.
local function let_due_wait()
    for _ = 1, 5 do
        local places = call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 1000)
        if #places == 0 then return end
        call('ZREM', due, unpack(places))
        local pairs_of = {}
        for i, place in ipairs(places) do pairs_of[2 * i - 1], pairs_of[2 * i] = 0, place end
        call('ZADD', waiting, unpack(pairs_of))
    end
end

-- The first places of those that wait, taken out. One from the future (the clock was set back) waits for its time.
local function take_waiting(wanted)
    local taken = {}
    for _ = 1, 100 do
        if #taken == wanted then break end
        local popped = call('ZPOPMIN', waiting, wanted - #taken)
        if #popped == 0 then break end
        for i = 1, #popped, 2 do
            if ready_of(popped[i]) <= now then
                taken[#taken + 1] = popped[i]
            else
                call('ZADD', due, ready_of(popped[i]), popped[i])
            end
        end
    end
    return taken
end

-- The first places of those that must run alone: few wait there.
local function take_alone(wanted)
    local places, taken = call('ZRANGEBYSCORE', alone, '-inf', now, 'LIMIT', 0, 1000), {}
    table.sort(places, is_before)
    for i = 1, math.min(wanted, #places) do
        taken[i] = places[i]
        call('ZREM', alone, places[i])
    end
    return taken
end

-- Let the jobs at these places be active; returns id and record of each, in the order of starts, and the number of the
-- first one's claim: those of the others follow it.
local function activate(places, worker)
    local ids, got, holds = {}, {}, {}
    for i, place in ipairs(places) do ids[i] = id_of(place) end
    if #ids == 0 then return got, 0 end
    local raws, vanished = call('HMGET', jobs, unpack(ids)), 0
    local first = call('HINCRBY', meta, 'claims', #ids) - #ids + 1
    local mine, since = worker .. ' ' .. begin_life() .. '.', ' ' .. string.format('%.0f', now)
    for i, id in ipairs(ids) do
        -- a foreign hand may have removed the record
        if raws[i] then
            local number = string.format('%.0f', first + #got / 2)
            got[#got + 1], got[#got + 2] = id, raws[i]
            holds[#holds + 1], holds[#holds + 2] = id, mine .. number .. since
            if ask.limit then call('ZADD', pace, now + ask.guard, number) end
        else
            vanished = vanished + 1
        end
    end
    if #holds > 0 then call('HSET', active, unpack(holds)) end
    if vanished > 0 then call('HINCRBY', meta, 'vanished', vanished) end
    if may_expire then call('ZREM', expiring, unpack(ids)) end
    return got, first
end

-- How long there is nothing to claim, when this claim took all that was due; false: nothing is known to become due.
local function next_due(of_alone)
    local first = of_alone and call('ZRANGEBYSCORE', alone, '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        or call('ZRANGE', due, 0, 0, 'WITHSCORES')
    return first[2] and math.max(0, first[2] - now) or false
end

-- Claim up to `wanted`; returns what `activate` does, and the wait in between.
local function claim(worker, wanted, of_alone)
    local held = call('HMGET', meta, 'paused', 'wait_until', 'mending', 'left')
    if held[1] or held[4] then return {}, false end
    if held[2] and tonumber(held[2]) > now then return {}, held[2] - now end
    local mending = held[3] and held[3] - now or 0
    -- longer ones are of a clock that was set back
    if mending > 0 and mending <= MENDING then return {}, mending end
    expire(1000)
    let_due_wait()
    local slots, free, over = wanted, wanted, 0
    if ask.limit then
        restart_grants()
        over, free = pace_room()
        if free == 0 then return {}, pace_wait() end
        slots = math.min(slots, free)
    end
    if ask.most then slots = math.min(slots, ask.most - call('HLEN', active)) end
    if slots <= 0 then return {}, false end
    local places = of_alone and take_alone(slots) or take_waiting(slots)
    if ask.limit and over > 0 and #places > 0 then
        call('ZREMRANGEBYRANK', pace, 0, math.min(over, 2 * #places + 100) - 1)
    end
    local got, first = activate(places, worker)
    if #places < slots then return got, next_due(of_alone), first end
    if slots == wanted then
        if not of_alone then say_word(waiting) end
        return got, 0, first
    end
    return got, ask.limit and slots == free and pace_wait() or false, first
end
