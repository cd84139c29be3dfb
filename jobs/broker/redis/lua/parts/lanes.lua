-- Stands in exchange.lua, where a job with a lane is to be claimed: the groups take turns.
-- A lane is the name of a group and, of a task with limits, a \31 and the task behind it. All lanes of a group stand
-- together: what may follow its name is a NUL or a \31, and every name goes on with something above. Jobs without a group
-- are one of the name '', for which no rule of groups holds.
-- A job that carries a paused tag is put aside by the claim that meets it: into a lane of its group with a \30 and the tag
-- behind the group's name, where no claim looks as long as the tag is paused. Then that is a lane like any other.
-- Of `groups` a value is {paused, concurrency, limit, per, wait_until, wait_from}, false where the queue's rule holds.
-- ask.group_most, group_limit, group_per: the queue's rule for each group; limits: task -> names of its limits; rooms: how
-- many more may start of each limit; bulks: task -> {most, least, wait} of those whose jobs start in bulk.
-- Costs of a claim: some calls for each group that is looked at, whatever waits in it.
local MOST_LANES, LOOK_AGAIN, MOST_OVER, MOST_BYTES = 500, 100000, 100, 1048576
-- How many jobs a claim may still put aside; where there are more, it takes nothing else, and the next one goes on.
local left_aside, is_cut_aside = 500, false
local known, have_own = {}, call('HLEN', groups) > 0
local guard, steps = ask.guard or 20000, 0

local function frees_at(moment)
    if not soonest or moment < soonest then soonest = moment end
end

-- The grants of a group that count: between these.
local function window(group)
    return '(' .. group.name .. '\0' .. struct.pack('>I7', math.max(0, now - group.per)) .. '\255', '(' .. group.name .. '\1'
end

local function add_grant(group, from, number)
    local grant = group.name .. '\0' .. struct.pack('>I7', from) .. number
    call('ZADD', group_pace, 0, grant)
    call('ZADD', group_over, from + group.per, grant)
end

-- As `restart_grants`, of one group.
local function restart_group(group)
    local most = struct.pack('>I7', now + LONGEST_GUARD + SLACK) .. '\255'
    local late = call('ZRANGEBYLEX', group_pace, '(' .. group.name .. '\0' .. most, '(' .. group.name .. '\1', 'LIMIT', 0, 5000)
    for _, grant in ipairs(late) do
        call('ZREM', group_pace, grant)
        call('ZREM', group_over, grant)
        add_grant(group, now + guard, string.sub(grant, #group.name + 9))
    end
end

-- How many more may start now by the group's rate.
local function group_pace_room(group)
    restart_group(group)
    local first, last = window(group)
    local counted = call('ZLEXCOUNT', group_pace, first, last)
    if counted < group.limit then return group.limit - counted end
    local frees = call('ZRANGEBYLEX', group_pace, first, last, 'LIMIT', counted - group.limit, 1)[1]
    frees_at(struct.unpack('>I7', frees, #group.name + 2) + group.per)
    return 0
end

-- What holds for a group, and how many more of its jobs may start now.
local function look_at(name)
    local group = known[name]
    if group then return group end
    group = {name = name, room = 1000000}
    known[name] = group
    if name == '' then return group end
    local own = have_own and call('HGET', groups, name)
    own = own and cmsgpack.unpack(own) or {}
    local most = own[2] or ask.group_most
    group.limit, group.per = own[3] or ask.group_limit, own[3] and own[4] or ask.group_per
    if own[1] then
        group.room = 0
    elseif own[5] and own[5] > now then
        group.room = 0
        frees_at(own[5])
    end
    if most and group.room > 0 then
        group.room = math.max(0, most - call('ZLEXCOUNT', held, '[' .. name .. '\0', '(' .. name .. ' '))
    end
    if group.limit and group.room > 0 then group.room = math.min(group.room, group_pace_room(group)) end
    return group
end

-- Grants that count no more, some in passing.
local function forget_grants()
    local over = call('ZRANGEBYSCORE', group_over, '-inf', now, 'LIMIT', 0, MOST_OVER)
    if #over == 0 then return end
    call('ZREM', group_over, unpack(over))
    call('ZREM', group_pace, unpack(over))
end

-- Places of one order that stand together, read some at a time.
local function places_in(order, first, last, place)
    return {order = order, first = first, last = last, read = place and {place} or {}, next = 1, behind = place}
end

local function task_of(lane) return string.match(lane, '\31(.*)') or '' end
local function is_aside(lane) return paused_tags[string.match(lane, '\30([^\31]*)')] end

-- Whether what stands at a place carries a paused tag, and is put aside.
local function put_aside(order, place)
    local id = id_of(place)
    local raw = call('HGET', jobs, id)
    local tag = raw and paused_tag_of(raw)
    if not tag then return false end
    is_cut_aside = left_aside == 0
    if is_cut_aside then return false end
    local job = read(raw)
    local lane = job.lane or ''
    job.lane = name_of(lane) .. '\30' .. tag .. (string.match(lane, '\31.*') or '')
    call('ZREM', order, place)
    call('HSET', jobs, id, write(job))
    put_in(id, job)
    left_aside = left_aside - 1
    return true
end

-- The next of them that is due, which stays; one from the future (the clock was set back) waits for its time.
local function head_of(stream, count)
    local order = stream.order
    for _ = 1, 100 + left_aside do
        if is_cut_aside then return nil end
        if stream.next > #stream.read then
            if stream.is_end then return nil end
            local from = stream.behind and '(' .. stream.behind or '[' .. stream.first
            stream.read = call('ZRANGEBYLEX', order, from, '(' .. stream.last, 'LIMIT', 0, count)
            stream.next, stream.is_end = 1, #stream.read < count
            if #stream.read == 0 then return nil end
            stream.behind = stream.read[#stream.read]
        end
        local place = stream.read[stream.next]
        if ready_of(place) > now then
            call('ZREM', order, place)
            call('ZADD', due, ready_of(place), place)
        elseif not (paused_tags and put_aside(order, place)) then
            return not is_cut_aside and place or nil
        end
        stream.next = stream.next + 1
    end
end

-- Whether each limit of a lane's task has room.
local asked_for = {}
local function has_room(stream)
    local is_free = true
    for _, name in ipairs(stream.limits or {}) do
        if (ask.rooms[name] or 0) <= 0 then
            short, is_free = short or {}, false
            if not asked_for[name] then short[#short + 1], asked_for[name] = name, true end
        end
    end
    return is_free
end

-- Put those of the first ones aside that carry paused tags; whether there were any.
local function put_some_aside(order, place, last, count)
    local is_any = false
    for _, one in ipairs(call('ZRANGEBYLEX', order, '[' .. place, '(' .. last, 'LIMIT', 0, count)) do
        is_any = put_aside(order, one) or is_any
    end
    return is_any
end

-- Whether a lane's jobs may start that start in bulk: enough are due, or the first has waited long enough.
local function is_ripe(stream)
    local bulk = stream.bulk
    local place = bulk and bulk[2] > 1 and head_of(stream, bulk[1])
    if not place or ready_of(place) + bulk[3] <= now then return true end
    while paused_tags and put_some_aside(lanes, place, stream.last, bulk[2]) do end
    if call('ZLEXCOUNT', lanes, '[' .. place, '(' .. stream.last) >= bulk[2] then return true end
    frees_at(ready_of(place) + bulk[3])
    return false
end

-- Of a group's places that may start the first one, and where it stands; nil where it has none.
local function first_of(entry, count)
    if entry.group.room <= 0 then return nil end
    local best, best_place
    for _, stream in ipairs(entry.streams) do
        local place = has_room(stream) and is_ripe(stream) and head_of(stream, stream.bulk and stream.bulk[1] or count)
        if place and (not best or is_before(string.sub(place, -PLACE), string.sub(best_place, -PLACE))) then
            best, best_place = stream, place
        end
    end
    if is_cut_aside then return nil end
    return best_place, best
end

-- The first lane of a priority at or behind a text: its name and the first place.
local function lane_at(first, from)
    steps = steps + 1
    local place = call('ZRANGEBYLEX', lanes, '[' .. first .. from, '+', 'LIMIT', 0, 1)[1]
    if place and string.sub(place, 1, 1) == first then return lane_in(place), place end
end

-- The groups of a priority in the order of their names, each with its lanes: those at or behind a text.
local function groups_from(first, from)
    local lane, place = lane_at(first, from)
    return function()
        if not lane then return nil end
        local name, streams = name_of(lane), {}
        while lane and name_of(lane) == name do
            if not (paused_tags and is_aside(lane)) then
                local task = task_of(lane)
                local stream = places_in(lanes, first .. lane .. '\0', first .. lane .. '\1', place)
                stream.limits = task ~= '' and ask.limits and ask.rooms and ask.limits[task]
                stream.bulk = task ~= '' and ask.bulks and ask.bulks[task]
                streams[#streams + 1] = stream
            end
            lane, place = lane_at(first, lane .. '\1')
        end
        return {name = name, streams = streams}
    end
end

-- The group of those without one: plain jobs, and those that only have limits.
local function of_no_group(first)
    local entry, lane = {name = '', streams = {}}, lane_at(first, '')
    if lane and name_of(lane) == '' then entry = groups_from(first, '')() end
    table.insert(entry.streams, places_in(waiting, first, string.char(string.byte(first) + 1)))
    return entry
end

-- All groups of a priority once, beginning behind that which was served last.
local function circle(first, cursor)
    local next_group, part = nil, cursor and 1 or 2
    if cursor then next_group = groups_from(first, cursor .. ' ') end
    return function()
        local entry = next_group and next_group()
        if part == 3 and entry and cursor and is_before(cursor, entry.name) then return nil end
        if entry or part == 3 then return entry end
        if part == 1 then part = 2 end
        part, next_group = 3, groups_from(first, ' ')
        return of_no_group(first)
    end
end

local taken, out, is_cut = {}, {[waiting] = {}, [lanes] = {}}, false
-- How many more calls are wanted, and jobs may start; and the bytes of what is taken in bulk.
local calls, slots, bytes = 0, 0, 0

local function is_full() return calls <= 0 or slots <= 0 or bytes >= MOST_BYTES or is_cut_aside end

local function take(place, stream, group)
    local order = out[has_lane(place) and lanes or waiting]
    taken[#taken + 1], order[#order + 1] = place, place
    stream.next, group.room, slots = stream.next + 1, group.room - 1, slots - 1
    for _, name in ipairs(stream.limits or {}) do ask.rooms[name] = ask.rooms[name] - 1 end
end

-- Let a group have its turn: what one call takes of it. False: there is nothing.
local function serve_group(entry, count)
    local place, stream = first_of(entry, count)
    if not place then return false end
    take(place, stream, entry.group)
    calls = calls - 1
    local bulk, number = stream.bulk or {1}, 1
    while number < bulk[1] and slots > 0 and bytes < MOST_BYTES and entry.group.room > 0 and has_room(stream) do
        place = head_of(stream, bulk[1])
        if not place then break end
        take(place, stream, entry.group)
        number, bytes = number + 1, bytes + call('HSTRLEN', jobs, id_of(place))
    end
    return true
end

-- Let the groups of one priority take turns until there is enough.
local function serve(first)
    local cursor, found, before = call('HGET', turns, first), {}, #taken
    local served = cursor
    steps, is_cut = 0, false
    for entry in circle(first, cursor) do
        entry.group = look_at(entry.name)
        if serve_group(entry, 1) then served, found[#found + 1] = entry.name, entry end
        if is_full() then break end
        if steps >= MOST_LANES then
            served, is_cut = entry.name, true
            break
        end
    end
    while not is_full() and #found > 0 and not is_cut do
        local still, count = {}, math.ceil(math.min(calls, slots) / #found)
        for _, entry in ipairs(found) do
            if not is_full() and serve_group(entry, count) then served, still[#still + 1] = entry.name, entry end
        end
        found = still
    end
    if served ~= cursor then call('HSET', turns, first, served) end
    -- more lanes than a claim looks at: the next one goes on behind them
    if is_cut then frees_at(#taken > before and now or now + LOOK_AGAIN) end
    return not (is_cut and #taken > before)
end

-- The first byte of what is due next, at or behind one.
local function priority_from(first)
    local plain = call('ZRANGEBYLEX', waiting, '[' .. first, '+', 'LIMIT', 0, 1)[1]
    local laned = call('ZRANGEBYLEX', lanes, '[' .. first, '+', 'LIMIT', 0, 1)[1]
    if plain and laned then return string.char(math.min(string.byte(plain), string.byte(laned))) end
    return (plain or laned) and string.sub(plain or laned, 1, 1)
end

-- The places that are taken, and why there are no more: 'calls', 'slots' or false.
take_turns = function(wanted, room)
    if have_own or ask.group_limit then forget_grants() end
    calls, slots = wanted, room
    local first = priority_from('\0')
    while first and not is_full() and serve(first) do
        first = priority_from(string.char(string.byte(first) + 1))
    end
    for order, places in pairs(out) do
        if #places > 0 then call('ZREM', order, unpack(places)) end
    end
    return taken, is_full() and (slots <= 0 and calls > 0 and 'slots' or 'calls')
end

-- Of places of jobs that must run alone: whether the group has room for one of these, which takes it.
takes_turn = function(place)
    local raw = paused_tags and call('HGET', jobs, id_of(place))
    if raw and paused_tag_of(raw) then return false end
    local lane = lane_in(place)
    local group, stream = look_at(name_of(lane)), {}
    stream.limits = ask.limits and ask.rooms and ask.limits[task_of(lane)]
    if group.room <= 0 or not has_room(stream) then return false end
    group.room = group.room - 1
    for _, name in ipairs(stream.limits or {}) do ask.rooms[name] = ask.rooms[name] - 1 end
    return true
end

-- Note that a job is active now, and its grant; false where its record says otherwise than its place.
hold_lane = function(place, id, raw, number)
    local lane = lane_in(place)
    if lane_of(raw) ~= lane or call('HEXISTS', active, id) == 1 then return false end
    local group, member = look_at(name_of(lane)), lane .. '\0' .. id
    if group.limit then
        member = member .. struct.pack('>I7', now + guard) .. number
        add_grant(group, now + guard, number)
        paced = guard
    end
    call('ZADD', held, 0, member)
    return true
end

-- Where a group's rate is used up by this claim: when it has room again.
note_used = function()
    for _, group in pairs(known) do
        if group.limit and group.room == 0 then group_pace_room(group) end
    end
end
