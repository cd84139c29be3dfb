-- Groups with live jobs or rules of their own, behind a name, in the order of their names.
-- ARGV[1]: after, limit, most (how many of those that wait for their time are looked at: they stand in no order of groups).
-- Result: of each {name, waiting, scheduled, active, paused, concurrency, limit, per, wait_until}, false where there is none.
-- Costs: some steps for each group and each priority at which some wait.
--:include queue clock record groups crowd

-- Those that wait for their time, and those that must run alone, by their group.
local waits, later = {}, {}
local function add(place)
    local name = has_lane(place) and name_of(lane_in(place)) or ''
    if name == '' then return end
    local to = ready_of(place) > now and later or waits
    to[name] = (to[name] or 0) + 1
end
for _, order in ipairs({due, alone}) do
    for _, place in ipairs(call('ZRANGE', order, 0, ask.most - 1)) do add(place) end
end

-- The ways to the next name: each answers the first one behind a name.
local ways, own = {}, own_rules()
local function by_names(names)
    table.sort(names, is_before)
    local i = 1
    ways[#ways + 1] = function(after)
        while names[i] and not is_before(after, names[i]) do i = i + 1 end
        return names[i]
    end
end
local names = {}
for name in pairs(own) do names[#names + 1] = name end
for name in pairs(waits) do names[#names + 1] = name end
for name in pairs(later) do names[#names + 1] = name end
by_names(names)
ways[#ways + 1] = function(after)
    local member = call('ZRANGEBYLEX', held, '[' .. after .. ' ', '+', 'LIMIT', 0, 1)[1]
    return member and name_of(member)
end
local firsts = firsts_of_lanes()
for _, first in ipairs(firsts) do
    ways[#ways + 1] = function(after)
        local found = call('ZRANGEBYLEX', lanes, '[' .. first .. after .. ' ', '+', 'LIMIT', 0, 1)[1]
        return found and string.sub(found, 1, 1) == first and name_of(lane_in(found)) or nil
    end
end

local function seen(name)
    local rules, waiting_now = own[name] or {}, (waits[name] or 0) + count_waiting(name, firsts)
    local running = call('ZLEXCOUNT', held, '[' .. name .. '\0', '(' .. name .. ' ')
    local wait_until = rules[5] and rules[5] > now and rules[5] or false
    if waiting_now + running + (later[name] or 0) == 0 and not (rules[1] or rules[2] or rules[3] or wait_until) then return end
    return {
        name, waiting_now, later[name] or 0, running,
        rules[1] or false, rules[2] or false, rules[3] or false, rules[4] or false, wait_until,
    }
end

local found, heads, name = {}, {}, ask.after
while #found < ask.limit do
    local first
    for i, way in ipairs(ways) do
        if heads[i] == nil or (heads[i] and not is_before(name, heads[i])) then heads[i] = way(name) or false end
        if heads[i] and (not first or is_before(heads[i], first)) then first = heads[i] end
    end
    if not first then break end
    name = first
    found[#found + 1] = seen(name)
end
return cmsgpack.pack(found)
