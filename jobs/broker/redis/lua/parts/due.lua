-- Jobs whose time has come join those that wait.
local function let_due_wait()
    for _ = 1, 5 do
        local places = call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 1000)
        if #places == 0 then return end
        call('ZREM', due, unpack(places))
        local plain, with_lane = {}, {}
        for _, place in ipairs(places) do
            local order = has_lane(place) and with_lane or plain
            order[#order + 1], order[#order + 2] = 0, place
        end
        if #plain > 0 then call('ZADD', waiting, unpack(plain)) end
        if #with_lane > 0 then call('ZADD', lanes, unpack(with_lane)) end
    end
end
