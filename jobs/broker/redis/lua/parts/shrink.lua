-- The bound on facts that wait for the history (G9): beyond it the oldest that no keeper has read shrink, whoever
-- tells. Of a completed job counters are left, and its end where a row waits for it; all else stays whole. So they
-- become packets in `kept`, each under the id of the last fact in it, so that both streams have one order:
--   {counters, rows, facts}: {hour, completed, retried, ran_ms, waited_ms} each; {id, run, ended, started, attempts,
--   starts, lost, claim} each; fact, record, said, state and rank each.
-- Accepted jobs that live are set aside until a keeper reads again (read_facts.lua), those that ended are dropped.
-- What a keeper has read is left alone: it may be committing that at this moment. An id without a row is remembered
-- for a minute more. A step looks at some hundred facts at most.
local MOST_BYTES = 67108864
local CHUNK, MOST_WORK, FULL = 50, 500, 16384
local REMEMBER, SLACK_OF_READ, DAY = 60000000, 5000000, 86400000000

-- Forget the ids of jobs whose fact shrank a minute ago and more, of some steps at most.
local function leave()
    for _ = 1, 4 do
        local oldest = call('LINDEX', leaving, 0)
        if not oldest then return end
        local at, ids, runs = unpack(cmsgpack.unpack(oldest))
        if at > now - REMEMBER then return end
        local over, gone = call('HMGET', ended, unpack(ids)), {}
        for i, id in ipairs(ids) do
            if over[i] == runs[i] .. ' completed' then gone[#gone + 1] = id end
        end
        call('LPOP', leaving)
        if #gone > 0 then call('HDEL', ended, unpack(gone)) end
    end
end

-- The packet to go on with, if the last one has room and no keeper has read it; else an empty one.
local function last_packet(marker)
    local found = call('XREVRANGE', kept, '+', marker and '(' .. marker or '-', 'COUNT', 1)[1]
    if found and #found[2][2] < FULL then return cmsgpack.unpack(found[2][2]), found[1], #found[2][2] end
    return {{}, {}, {}}, nil, 0
end

local function add_living(ids, to)
    for _, id in ipairs(ids) do
        if call('HEXISTS', jobs, id) == 1 then to[#to + 1] = id end
    end
end

-- Set accepted jobs aside in lists of some hundred ids; with each new list two old ones lose those that have ended.
local function set_aside(ids)
    local last = call('LINDEX', aside, -1)
    local with = last and cmsgpack.unpack(last)
    if with and with[1] == 0 and #with[2] < 200 then
        for _, id in ipairs(ids) do with[2][#with[2] + 1] = id end
        return call('LSET', aside, -1, cmsgpack.pack(with))
    end
    for _ = 1, call('LLEN', aside) > 2 and 2 or 0 do
        local due, before = unpack(cmsgpack.unpack(call('LPOP', aside)))
        local living = {}
        add_living(before, living)
        if #ids + #living > 1000 then
            call('RPUSH', aside, cmsgpack.pack({due, living}))
        else
            for _, id in ipairs(living) do ids[#ids + 1] = id end
        end
    end
    call('RPUSH', aside, cmsgpack.pack({0, ids}))
end

local function count(counters, at, completed, retried, ran, waited)
    local hour = at - at % 3600000000
    for _, one in ipairs(counters) do
        if one[1] == hour then
            one[2], one[3], one[4], one[5] = one[2] + completed, one[3] + retried, one[4] + ran, one[5] + waited
            return
        end
    end
    counters[#counters + 1] = {hour, completed, retried, ran, waited}
end

-- Returns how many bytes less wait now, and how much work that was.
local function shrink(over)
    local marker = call('HGET', meta, 'read')
    -- a job accepted before that has a row, or will: a keeper was told of it while it lived
    local with_row = marker and string.match(marker, '%d+') * 1000 + SLACK_OF_READ or 0
    local packet, absorbed, absorbed_size = last_packet(marker)
    local counters, rows, whole = unpack(packet)
    local gone, freed, work, last, size = {}, absorbed_size, 0, nil, absorbed_size
    local accepted, ids, runs, first_cut, last_cut, cut = {}, {}, {}, nil, nil, 0

    local function keep_whole(fields)
        whole[#whole + 1] = {fields[2], fields[4], fields[6], fields[7], fields[8]}
        size = size + #fields[2] + #fields[4] + #fields[6]
    end

    local function shrink_settled(fact, fields)
        local state, id, run, at, said = fact[2], fact[3], fact[4], fact[5], cmsgpack.unpack(fields[6])
        local job, started, ended_at = read(fields[4]), said[5] and math.min(said[5], at), math.min(said[6] or at, at)
        local ran, waited = fact[9] or 0, fact[10] or 0
        if state == 'queued' then return count(counters, at, 0, said[1] == 'Retried' and 1 or 0, ran, waited) end
        count(counters, at, 1, 0, ran, waited)
        first_cut, last_cut, cut = first_cut or at, at, cut + 1
        if job.row or job.created <= with_row then
            local starts = job.starts + (started and 1 or 0)
            rows[#rows + 1] = {id, run, ended_at, started or false, job.attempts + said[2], starts, job.lost, said[3]}
            size = size + 80
        else
            ids[#ids + 1], runs[#runs + 1] = id, run
        end
    end

    while freed - size < over and work < MOST_WORK do
        local first = last or marker
        local found = call('XRANGE', facts, first and '(' .. first or '-', '+', 'COUNT', CHUNK)
        for _, entry in ipairs(found) do
            local fields, fact = entry[2], cmsgpack.unpack(entry[2][2])
            if fields[7] == 'accepted' then
                local told_of = accepted_ids(fact)
                add_living(told_of, accepted)
                work = work + #told_of / 10
            elseif fact[1] == 'settled' and not is_awaited(fields[4]) and (fact[2] == 'completed'
                    or (fact[2] == 'queued' and call('HGET', ended, fact[3]) == fact[4] .. ' completed')) then
                shrink_settled(fact, fields)
            else
                keep_whole(fields)
            end
            gone[#gone + 1], last, work = entry[1], entry[1], work + 1
            freed = freed + weight(fields[2], fields[4], fields[6])
            if size >= FULL or #accepted >= 1000 then break end
        end
        if #found < CHUNK or size >= FULL or #accepted >= 1000 then break end
    end
    if not last then return 0, MOST_WORK end
    local packed = cmsgpack.pack({counters, rows, whole})
    call('XDEL', facts, unpack(gone))
    if absorbed then call('XDEL', kept, absorbed) end
    call('XADD', kept, last, 'packet', packed)
    call('HINCRBY', meta, 'told', #packed)
    call('HINCRBY', meta, 'heard', freed)
    if #accepted > 0 then set_aside(accepted) end
    if #ids > 0 then call('RPUSH', leaving, cmsgpack.pack({now, ids, runs})) end
    if cut > 0 then
        local until_now = tonumber(call('HGET', meta, 'cut_until') or 0)
        if until_now < now - DAY then call('HDEL', meta, 'cut', 'cut_since') end
        call('HSETNX', meta, 'cut_since', first_cut)
        call('HSET', meta, 'cut_until', math.max(last_cut, until_now))
        call('HINCRBY', meta, 'cut', cut)
    end
    return freed - #packed, work
end

-- Count what this script has told and, where more waits than may, let the oldest shrink.
local function weigh()
    if #freed > 0 then follow() end
    if told == 0 then return end
    local all = call('HINCRBY', meta, 'told', told)
    local known = call('HMGET', meta, 'heard', 'most')
    local over = all - tonumber(known[1] or 0) - tonumber(known[2] or MOST_BYTES)
    told = 0
    if over <= 0 then return end
    -- nothing of it is done where a foreign hand has put something else
    for _, key in ipairs({kept, aside, leaving}) do
        local kind = call('TYPE', key).ok
        if kind ~= 'none' and kind ~= (key == kept and 'stream' or 'list') then return end
    end
    leave()
    local work = 0
    while over > 0 and work < MOST_WORK do
        local less, more = shrink(over)
        over, work = over - less, work + more
    end
end
