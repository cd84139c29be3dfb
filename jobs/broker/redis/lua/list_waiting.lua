-- Some of the jobs that wait: those that are due in the order of their starts, then the others by their time, then those
-- behind others, by their ids, then those that are due in a lane, by priority and lane.
-- ARGV[1]: limit. ARGV[2]: after, the position that the last call answered, or nothing.
-- Result: the position behind these, nothing where there are no more; then id and record of each.
-- Costs of a call: O(limit + log of all).
--:include queue clock record

-- How many places come up to this one, which may be gone, in an order by time.
local function rank_behind(order, place)
    local ready = string.format('%.0f', ready_of(place))
    local low, high = call('ZCOUNT', order, '-inf', '(' .. ready), call('ZCOUNT', order, '-inf', ready)
    while low < high do
        local middle = math.floor((low + high) / 2)
        if is_before(place, call('ZRANGE', order, middle, middle)[1]) then high = middle else low = middle + 1 end
    end
    return low
end

local function places_behind(order, place, count)
    if order == behind then
        local ids, found = call('HVALS', behind), {}
        table.sort(ids, is_before)
        for _, id in ipairs(ids) do
            if #found < count and (place == '' or is_before(id_of(place), id)) then found[#found + 1] = string.rep(' ', 8) .. id end
        end
        return found
    end
    if order == waiting or order == lanes then
        return call('ZRANGEBYLEX', order, place == '' and '-' or '(' .. place, '+', 'LIMIT', 0, count)
    end
    local rank = place == '' and 0 or rank_behind(order, place)
    return call('ZRANGE', order, rank, rank + count - 1)
end

local orders, words, room = {waiting, due, alone, behind, lanes}, {''}, ask.limit
local first, after = string.byte(ARGV[2]) or 1, string.sub(ARGV[2], 2)
for i = first, #orders do
    for _, place in ipairs(room > 0 and places_behind(orders[i], i == first and after or '', room) or {}) do
        local raw = call('HGET', jobs, id_of(place))
        room = room - 1
        words[1] = room == 0 and string.char(i) .. place or ''
        if raw then
            words[#words + 1] = id_of(place)
            words[#words + 1] = raw
        end
    end
end
return words
