-- How many jobs of a group wait that are due.

-- The first bytes of the places of those that wait with a lane: their priorities.
local function firsts_of_lanes()
    local firsts, place = {}, call('ZRANGE', lanes, 0, 0)[1]
    while place do
        local first = string.sub(place, 1, 1)
        firsts[#firsts + 1] = first
        place = call('ZRANGEBYLEX', lanes, '[' .. string.char(string.byte(first) + 1), '+', 'LIMIT', 0, 1)[1]
    end
    return firsts
end

-- One call for each priority, however many wait.
local function count_waiting(name, firsts)
    local number = 0
    for _, first in ipairs(firsts) do
        number = number + call('ZLEXCOUNT', lanes, '[' .. first .. name .. '\0', '(' .. first .. name .. ' ')
    end
    return number
end
