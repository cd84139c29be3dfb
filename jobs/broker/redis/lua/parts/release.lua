-- A job that nobody holds any more goes back; returns what it became.
local function give_back_one(id, hold, raw, reason, label, lost)
    local job, state = read(raw), 'queued'
    job.starts, job.row = job.starts + 1, true
    if lost then job.lost = job.lost + 1 end
    if reason then
        state = 'cancelled'
    elseif lost and job.lost >= DEAD_AFTER then
        state = 'failed'
    end
    if state == 'queued' then
        call('HSET', jobs, id, write(job))
        put_in(id, job)
    else
        finish(id, job.run, state, job.key, job.expires)
    end
    local rank = state ~= 'queued' and rank_of(state, 1)
    tell(lost and 'lost' or 'interrupted', state, id, job.run, job.ready, label, {reason or '', hold}, raw, '', rank)
    return state
end

-- The jobs of a process that is gone go back; returns how many, and how many of them became dead letters.
local function give_back(worker, label, lost)
    local moved, failed = 0, 0
    local held = call('HGETALL', active)
    for i = 1, #held, 2 do
        local id, hold = held[i], held[i + 1]
        if string.sub(hold, 1, #worker + 1) == worker .. ' ' then
            local raw, reason = call('HGET', jobs, id), call('HGET', asked, id)
            call('HDEL', active, id)
            call('HDEL', asked, id)
            if raw then
                local lane = lane_of(raw)
                if lane then leave_lane(id, lane) end
                local state = give_back_one(id, hold, raw, reason, label, lost)
                if state == 'failed' then failed = failed + 1 end
                moved = moved + 1
            end
        end
    end
    call('HDEL', workers, worker)
    call('HDEL', replies, worker)
    if moved > 0 then say_word() end
    return moved, failed
end
