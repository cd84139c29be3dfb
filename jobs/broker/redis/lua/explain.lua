-- Where a queued job stands among the others, by what a claim goes by.
-- ARGV[1]: id; most (ahead that are counted), ends (of grants that are told); limit, per of the rate limit and most of the
--   global concurrency as `bound`, unless others were set at run time; group_most, group_limit, group_per, limits, rooms as
--   in parts/lanes.lua, where the job's own limits have room.
-- Result: false where the job is not queued, else {now, ready, expires, alone, left, paused, wait_until, mending, behind (the
--   id of the holder of its key), pace {limit, per, taken, ends} or false, active, bound or false, group {name, paused,
--   wait_until, concurrency, active, pace} or false, workers (of each its words, whether it is paused, what it holds),
--   concurrency that was set or false, alone_runs, ahead, ahead_in_group, tags (of its own, paused), bulk {due, least, until} or false}.
-- Guarantees: nothing is changed but grants that a clock that was set back has left in the future.
-- Costs: some steps for each lane with due jobs, of 2,000 lanes at most, and for each job that is due and not in its order.
--:include queue clock record life pace

local take_turns, takes_turn, hold_lane, note_used, soonest, paced, short
local told_tags = call('HGET', meta, 'paused_tags')
local paused_tags = told_tags and cmsgpack.unpack(told_tags) or {}
--:include tags lanes

local MOST_WALKED, MOST_LOOSE = 2000, 5000
local raw = call('HGET', jobs, ask.id)
if not raw or call('HEXISTS', active, ask.id) == 1 then return cmsgpack.pack(false) end
local job = read(raw)
local lane = job.lane or ''
local own_name = name_of(lane)
local is_alone = job.lost >= ALONE_AFTER
-- The paused tags that it has; what stands aside for others may not start.
local own_tags, is_own_tag = {}, {}
for _, tag in ipairs(tags_in(raw)) do
    if paused_tags[tag] then own_tags[#own_tags + 1], is_own_tag[tag] = tag, true end
end

-- What holds for the queue.

local set, concurrency = call('HGET', meta, 'limits'), false
if set then
    local limit, per, bound, threads = unpack(cmsgpack.unpack(set))
    if limit then ask.limit, ask.per = limit > 0 and limit, per end
    if bound then ask.bound = bound > 0 and bound end
    concurrency = threads or false
end
local blocks = call('HMGET', meta, 'paused', 'wait_until', 'mending', 'left')
local mending = blocks[3] and tonumber(blocks[3]) or false
if mending and (mending <= now or mending > now + MENDING) then mending = false end

local function pace_of(limit, per, counted, ends) return limit and {limit, per, counted, ends} or false end

local function pace_of_queue()
    if not ask.limit then return false end
    local from, ends = '(' .. string.format('%.0f', now - ask.per), {}
    local found = call('ZRANGEBYSCORE', pace, from, '+inf', 'WITHSCORES', 'LIMIT', 0, ask.ends)
    for i = 2, #found, 2 do ends[#ends + 1] = math.min(tonumber(found[i]), now + LONGEST_GUARD + SLACK) + ask.per end
    return pace_of(ask.limit, ask.per, call('ZCOUNT', pace, from, '+inf'), ends)
end

local function of_group()
    if own_name == '' then return false end
    local group, own = look_at(own_name), have_own and call('HGET', groups, own_name)
    own = own and cmsgpack.unpack(own) or {}
    local bound, ends, counted = own[2] or ask.group_most or false, {}, 0
    if group.limit then
        local first, last = window(group)
        counted = call('ZLEXCOUNT', group_pace, first, last)
        for _, grant in ipairs(call('ZRANGEBYLEX', group_pace, first, last, 'LIMIT', 0, ask.ends)) do
            ends[#ends + 1] = struct.unpack('>I7', grant, #own_name + 2) + group.per
        end
    end
    local running = bound and call('ZLEXCOUNT', held, '[' .. own_name .. '\0', '(' .. own_name .. ' ') or 0
    return {
        own_name, own[1] or false, own[5] and own[5] > now and own[5] or false, bound, running,
        pace_of(group.limit, group.per, counted, ends),
    }
end

local function alone_runs()
    for _, id in ipairs(is_alone and call('HKEYS', active) or {}) do
        local other = call('HGET', jobs, id)
        if other and read(other).lost >= ALONE_AFTER then return true end
    end
    return false
end

local function hands()
    local holds, found, told = {}, {}, call('HGETALL', workers)
    for _, hold in ipairs(call('HVALS', active)) do
        local worker = string.match(hold, '^%S+')
        holds[worker] = (holds[worker] or 0) + 1
    end
    for i = 1, #told, 2 do
        local lease = cmsgpack.unpack(told[i + 1])
        if lease[1] >= now then found[#found + 1] = {lease[5], lease[8] or false, holds[told[i]] or 0} end
    end
    return found
end

-- Those that may start before it: its own group and its own limits are taken for free.

local group_now = of_group()
if own_name ~= '' then look_at(own_name).room = 1000000 end

local function may_start(other)
    local name = name_of(other)
    if name ~= own_name and look_at(name).room <= 0 then return false end
    local task, tag = task_of(other), string.match(other, '\30([^\31]*)')
    if tag and paused_tags[tag] and not is_own_tag[tag] then return false end
    for _, limit in ipairs(task ~= '' and ask.limits and ask.limits[task] or {}) do
        if (ask.rooms[limit] or 0) <= 0 then return false end
    end
    return true
end

-- One that is not due yet is taken for due from now on: behind all that are.
local place = place_of(ask.id, job)
local first, mark = string.sub(place, 1, 1), string.sub(place, -PLACE)
if job.ready > now then mark = first .. struct.pack('>I7', now) .. string.rep('\255', 16) end

-- What is due and not in its order yet counts as one more, what has expired as one less: by priority and lane their places.
local loose = {}
local function note(other, sign)
    local start, in_lane = string.sub(other, 1, 1), has_lane(other) and lane_in(other) or ''
    loose[start] = loose[start] or {}
    loose[start][in_lane] = loose[start][in_lane] or {}
    table.insert(loose[start][in_lane], {string.sub(other, -PLACE), sign})
end
for _, other in ipairs(call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, MOST_LOOSE)) do note(other, 1) end
local has_expired = {}
for _, id in ipairs(call('ZRANGEBYSCORE', expiring, '-inf', now, 'LIMIT', 0, 1000)) do
    local other = call('HGET', jobs, id)
    other = other and read(other)
    if other and not other.behind and other.ready <= now then
        has_expired[id] = true
        if other.lost < ALONE_AFTER then note(place_of(id, other), -1) end
    end
end

-- How many of a lane, or of those without one, stand before a mark; false: all that are due.
local function count(start, in_lane, before)
    local number
    if in_lane == '' then
        number = call('ZLEXCOUNT', waiting, '[' .. start, '(' .. (before or string.char(string.byte(start) + 1)))
    else
        local from = start .. in_lane
        number = call('ZLEXCOUNT', lanes, '[' .. from .. '\0', '(' .. (before and from .. '\0' .. before or from .. '\1'))
    end
    for _, one in ipairs(loose[start] and loose[start][in_lane] or {}) do
        if not before or is_before(one[1], before) then number = number + one[2] end
    end
    return math.max(0, number)
end

-- The lanes of a priority with due jobs, those without one as ''.
local walked = 0
local function lanes_of(start)
    local found, is_known = {''}, {['']  = true}
    local other = lane_at(start, '')
    while other and walked < MOST_WALKED do
        found[#found + 1], is_known[other], walked = other, true, walked + 1
        other = lane_at(start, other .. '\1')
    end
    for other in pairs(loose[start] or {}) do
        if not is_known[other] then found[#found + 1] = other end
    end
    return found
end

local function count_alone()
    local ahead, in_group = 0, 0
    for _, other in ipairs(call('ZRANGEBYSCORE', alone, '-inf', now, 'LIMIT', 0, ask.most + 1)) do
        local in_lane = has_lane(other) and lane_in(other) or ''
        if is_before(string.sub(other, -PLACE), mark) and not has_expired[id_of(other)] and may_start(in_lane) then
            ahead = ahead + 1
            if name_of(in_lane) == own_name then in_group = in_group + 1 end
        end
    end
    return ahead, in_group
end

local function count_higher()
    local starts, ahead, next_one = {}, 0, priority_from('\0')
    while next_one do
        starts[next_one] = true
        next_one = priority_from(string.char(string.byte(next_one) + 1))
    end
    for start in pairs(loose) do starts[start] = true end
    for start in pairs(starts) do
        if string.byte(start) < string.byte(first) then
            for _, other in ipairs(lanes_of(start)) do
                if ahead <= ask.most and may_start(other) then ahead = ahead + count(start, other, false) end
            end
        end
    end
    return ahead
end

local function count_ahead()
    local ahead = count_higher()
    if ahead > ask.most then return ahead, 0 end
    local in_group, others, cursor = 0, {}, call('HGET', turns, first)
    local function turn_of(name)
        -- first those behind the one that was served last
        return (cursor and not is_before(cursor, name) and '\1' or '\0') .. name
    end
    for _, other in ipairs(lanes_of(first)) do
        if may_start(other) then
            local name = name_of(other)
            if name == own_name then
                local number, bulk = count(first, other, mark), ask.bulks and ask.bulks[task_of(other)]
                -- those that start together with it are not ahead of it
                if bulk and other == lane then number = number - number % bulk[1] end
                in_group = in_group + number
            else
                others[name] = (others[name] or 0) + count(first, other, false)
            end
        end
    end
    ahead = ahead + in_group
    for name, number in pairs(others) do
        local turns_taken = in_group + (is_before(turn_of(name), turn_of(own_name)) and 1 or 0)
        ahead = ahead + math.min(number, turns_taken)
    end
    return walked < MOST_WALKED and ahead or ask.most + 1, in_group
end

-- How its lane stands, of a task whose jobs start in bulk: how many are due, how many are needed, when they start anyway.
local function bulk_now()
    local bulk = not is_alone and ask.bulks and ask.bulks[task_of(lane)]
    if not bulk then return false end
    local _, head = lane_at(first, lane)
    local since = head and lane_in(head) == lane and ready_of(head) or math.min(job.ready, now)
    return {count(first, lane, false) + (job.ready > now and 1 or 0), bulk[2], since + bulk[3]}
end

local function in_hex(id) return (string.gsub(id, '.', function(c) return string.format('%02x', string.byte(c)) end)) end
local holder = job.behind and call('HGET', keys, job.key)
local ahead, in_group
if is_alone then ahead, in_group = count_alone() else ahead, in_group = count_ahead() end
return cmsgpack.pack({
    now, job.ready, job.expires, is_alone, blocks[4] ~= false, blocks[1] ~= false,
    blocks[2] and tonumber(blocks[2]) > now and tonumber(blocks[2]) or false, mending,
    job.behind and holder and in_hex(holder) or false, pace_of_queue(),
    call('HLEN', active), ask.bound or false, group_now, hands(), concurrency, alone_runs(), ahead, in_group, own_tags, bulk_now(),
})
