-- Set right what a foreign hand, or an error that it caused, has left: records in no order, and places without a record.
-- ARGV[1]: ids (of jobs to look at), places (to look at); where there are neither the numbers are compared, which is all
--   that a healthy queue costs. Result: {whether all is well, records put back, places removed}.
-- A job that waits behind another which is gone gets its key, too.
--:include queue clock record groups

-- What groups leave behind: the holds of jobs that are active no more, waits and grants that are over, turns.
local function tidy_lanes()
    local stays = call('ZCARD', lanes) > 0
    for _, member in ipairs(call('ZCARD', held) > 0 and call('ZRANGE', held, 0, 4999) or {}) do
        local lane, id = held_by(member)
        if call('HEXISTS', active, id) == 1 then stays = true else leave_lane(id, lane) end
    end
    for name, own in pairs(call('HLEN', groups) > 0 and own_rules() or {}) do
        if own[5] and own[5] <= now then write_group(name, own, false) end
    end
    local over = call('ZRANGEBYSCORE', group_over, '-inf', now, 'LIMIT', 0, 1000)
    if #over > 0 then
        call('ZREM', group_over, unpack(over))
        call('ZREM', group_pace, unpack(over))
    end
    if not stays and call('HLEN', turns) > 0 then call('DEL', turns) end
end

if #ask.ids == 0 and #ask.places == 0 then
    local waits = call('HGETALL', behind)
    for i = 1, #waits, 2 do
        local key, id = waits[i], waits[i + 1]
        local holder, raw = call('HGET', keys, key), call('HGET', jobs, id)
        if not raw then
            call('HDEL', behind, key)
        elseif not holder or call('HEXISTS', jobs, holder) == 0 then
            local job = read(raw)
            job.behind = nil
            call('HDEL', behind, key)
            call('HSET', keys, key, id)
            call('HSET', jobs, id, write(job))
            put_in(id, job)
            say_word()
        end
    end
    tidy_lanes()
    local placed = call('ZCARD', waiting) + call('ZCARD', lanes) + call('ZCARD', due) + call('ZCARD', alone) + call('HLEN', active)
    return cmsgpack.pack({call('HLEN', jobs) == placed + call('HLEN', behind), 0, 0})
end
local back, gone = 0, 0
for _, id in ipairs(ask.ids) do
    local raw = call('HGET', jobs, id)
    if raw and call('HEXISTS', active, id) == 0 then
        local job = read(raw)
        local place, is_placed = place_of(id, job), false
        if job.behind and call('HGET', behind, job.key) == id then is_placed = true end
        for _, order in ipairs({waiting, lanes, due, alone}) do is_placed = is_placed or call('ZSCORE', order, place) end
        if not is_placed then
            job.behind = nil
            call('HSET', jobs, id, write(job))
            put_in(id, job)
            if job.key and call('HEXISTS', keys, job.key) == 0 then call('HSET', keys, job.key, id) end
            back = back + 1
        end
    end
end
for _, place in ipairs(ask.places) do
    if call('HEXISTS', jobs, id_of(place)) == 0 then
        for _, order in ipairs({waiting, lanes, due, alone}) do gone = gone + call('ZREM', order, place) end
    end
end
if gone > 0 then call('HINCRBY', meta, 'vanished', gone) end
if back > 0 then say_word() end
return cmsgpack.pack({false, back, gone})
