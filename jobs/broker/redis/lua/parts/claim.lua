-- Claim jobs that are due: one for each call that is wanted, or several where a task's jobs start in bulk.
local MOST_AT_ONCE = 1000

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

-- The first places of those that must run alone: few wait there. They have no turn, and wait for their group's room.
local function take_alone(wanted)
    local places, taken = call('ZRANGEBYSCORE', alone, '-inf', now, 'LIMIT', 0, 1000), {}
    table.sort(places, function(one, other) return is_before(string.sub(one, -PLACE), string.sub(other, -PLACE)) end)
    for _, place in ipairs(places) do
        if #taken == wanted then break end
        local has_rules = has_lane(place) or paused_tags
        if has_rules and not takes_turn then with_lanes() end
        if not has_rules or takes_turn(place) then
            taken[#taken + 1] = place
            call('ZREM', alone, place)
        end
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
        local number = string.format('%.0f', first + #got / 2)
        -- a foreign hand may have removed the record
        if raws[i] and has_lane(places[i]) and not hold_lane(places[i], id, raws[i], number) then
            -- another version has taken the job out of its lane: it stands elsewhere
        elseif raws[i] then
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

-- How long there is nothing to claim, when this claim took all that may start; false: nothing is known to become due.
local function next_due(of_alone)
    local first = of_alone and call('ZRANGEBYSCORE', alone, '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        or call('ZRANGE', due, 0, 0, 'WITHSCORES')
    local moment = tonumber(first[2])
    if note_used then note_used() end
    if soonest and (not moment or soonest < moment) then moment = soonest end
    return moment and math.max(0, moment - now) or false
end

-- Claim up to `wanted`; returns what `activate` does, and the wait in between.
local function claim(worker, wanted, of_alone)
    local held = call('HMGET', meta, 'paused', 'wait_until', 'mending', 'left', 'paused_tags')
    if held[1] or held[4] then return {}, false end
    if held[2] and tonumber(held[2]) > now then return {}, held[2] - now end
    local mending = held[3] and held[3] - now or 0
    -- longer ones are of a clock that was set back
    if mending > 0 and mending <= MENDING then return {}, mending end
    paused_tags = held[5] and cmsgpack.unpack(held[5])
    expire(1000)
    let_due_wait()
    local room, free, over = math.max(wanted, MOST_AT_ONCE), nil, 0
    if ask.limit then
        restart_grants()
        over, free = pace_room()
        if free == 0 then return {}, pace_wait() end
        room = math.min(room, free)
    end
    if ask.most then room = math.min(room, ask.most - call('HLEN', active)) end
    if room <= 0 then return {}, false end
    local places, slots, full = nil, math.min(wanted, room), nil
    if of_alone then
        places = take_alone(slots)
    elseif paused_tags or call('ZCARD', lanes) > 0 then
        with_lanes()
        places, full = take_turns(wanted, room)
    else
        places = take_waiting(slots)
    end
    if full == nil then full = #places == slots and (slots == wanted and 'calls' or 'slots') end
    if ask.limit and over > 0 and #places > 0 then
        call('ZREMRANGEBYRANK', pace, 0, math.min(over, 2 * #places + 100) - 1)
    end
    local got, first = activate(places, worker)
    if not full then return got, next_due(of_alone), first end
    if full == 'calls' or #places == MOST_AT_ONCE then
        if not of_alone then say_word(true) end
        return got, 0, first
    end
    return got, ask.limit and #places == free and pace_wait() or false, first
end
