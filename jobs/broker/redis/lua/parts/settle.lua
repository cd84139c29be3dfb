-- Settle what a worker finished: first everything is read, then written.
-- Of a settlement the scripts are told its id, its hold ("worker token "), and in a MessagePack, in this order: run, state,
-- started, burns, key, expires, ran, waited; and of a job that comes back delay, whole_queue, unknown, whole_group.
local END, COME_BACK = 8, 12
-- Whether a group has room again.
local has_left_lane = false

-- Which of so many settlements count: the job is active under the worker's token. Returns the record of each, false where
-- it does not count; why it was asked to cancel, of those that were; the ids of those that count; which are 'former': of
-- another life than this one, or a foreign hand has removed the record, and the worker has it still.
local function read_settled(many)
    local gone, former, seen = {}, {}, {}
    if many == 0 then return {}, {}, gone, former end
    local holds, raws = call('HMGET', active, unpack(ARGV, 2, many + 1)), call('HMGET', jobs, unpack(ARGV, 2, many + 1))
    local reasons = call('HLEN', asked) > 0 and call('HMGET', asked, unpack(ARGV, 2, many + 1)) or {}
    for i = 1, many do
        local id, mine = ARGV[i + 1], ARGV[i + 1 + many]
        local is_mine = holds[i] and string.sub(holds[i], 1, #mine) == mine
        if is_mine and raws[i] and not seen[id] then
            gone[#gone + 1], seen[id] = id, true
        else
            former[i] = (is_mine and not raws[i]) or string.match(mine, ' (%x+)') ~= generation
            raws[i] = false
        end
    end
    return raws, reasons, gone, former
end

-- What a provider's "slow down" asks for one group (parts/lanes.lua).
local function group_waits(name, moment)
    local raw = name ~= '' and call('HGET', groups, name)
    local own = raw and cmsgpack.unpack(raw) or {false, false, false, false, false, false}
    if name == '' or (own[5] and own[5] >= moment) then return end
    own[5], own[6] = moment, now
    call('HSET', groups, name, cmsgpack.pack(own))
    note_time()
end

-- The attempt is over and the job comes back, unless it was asked to cancel; returns the state and the due time.
local function come_back(id, raw, reason, word)
    local _, _, _, started, burns, _, _, _, _, delay, whole_queue, unknown, whole_group = cmsgpack.unpack_limit(word, COME_BACK, 1)
    local job = read(raw)
    if whole_group and job.lane then group_waits(name_of(job.lane), now + delay) end
    if whole_queue then
        local until_now = tonumber(call('HGET', meta, 'wait_until') or 0)
        if now + delay > until_now then call('HSET', meta, 'wait_until', now + delay, 'wait_from', now) end
        note_time()
    end
    if reason then
        finish(id, job.run, 'cancelled', job.key, job.expires)
        return 'cancelled', job.ready
    end
    job.attempts, job.starts, job.row = job.attempts + burns, job.starts + started, true
    if delay then
        job.ready, job.timed = now + delay, now
        note_time()
    end
    if unknown == 'note' then
        job.unknown = job.unknown or now
    elseif unknown == 'clear' then
        job.unknown = false
    end
    call('HSET', jobs, id, write(job))
    put_in(id, job)
    return 'queued', job.ready
end

-- Let all of these jobs end, each of which is followed by its run and state.
local function finish_all(over, ends)
    if #over == 0 then return end
    call('HDEL', jobs, unpack(over))
    call('HSET', ended, unpack(ends))
end

-- Make the moves of what `read_settled` has read; returns the states reached, false where a settlement does not count.
local function settle(many, raws, reasons, gone, former, label)
    local states, told_of, over, ends, number = {}, {}, {}, {}, {}
    if #gone > 0 then call('HDEL', active, unpack(gone)) end
    if #gone > 0 and next(reasons) then call('HDEL', asked, unpack(gone)) end
    -- what is the same in many facts is packed once: see `tell`
    local head, packed_now, usual = '\154' .. cmsgpack.pack('settled'), cmsgpack.pack(now), cmsgpack.pack(false, label, {''})
    local packed = {}
    for i = 1, many do
        local id, word = ARGV[i + 1], ARGV[i + 1 + 2 * many]
        states[i] = former[i] and 'former' or false
        if raws[i] then
            local _, run, state, started, _, key, expires, ran, waited = cmsgpack.unpack_limit(word, END, 1)
            local reason, middle = reasons[i], usual
            if state == 'queued' then
                local ready
                state, ready = come_back(id, raws[i], reason, word)
                middle = cmsgpack.pack(ready, label, {reason or ''})
            else
                over[#over + 1] = id
                ends[#ends + 1], ends[#ends + 2] = id, run .. ' ' .. state
                let_go(id, key, expires)
                if reason then middle = cmsgpack.pack(false, label, {reason}) end
            end
            local lane = lane_of(raws[i])
            if lane then
                leave_lane(id, lane, started)
                has_left_lane = true
            end
            -- a start that never was gives its grant back
            if started == 0 then call('ZREM', pace, string.match(ARGV[i + 1 + many], '(%d+) $')) end
            packed[state] = packed[state] or head .. cmsgpack.pack(state) .. '\176'
            told_of[i] = packed[state] .. id .. cmsgpack.pack(run) .. packed_now .. middle .. cmsgpack.pack(ran or false, waited or false)
            states[i], number[state] = state, (number[state] or 0) + 1
        end
    end
    finish_all(over, ends)
    -- the ends in each state that come at once share one rank
    local ranks = {queued = ''}
    for i = 1, many do
        if raws[i] then
            local state = states[i]
            ranks[state] = ranks[state] or string.format('%.0f', rank_of(state, number[state]))
            add_fact(told_of[i], state, raws[i], ARGV[i + 1 + 3 * many], ranks[state])
        end
    end
    return states
end
