-- A job's end, and what the history is told of every step.

-- Before anything is written: that a foreign value under one of these keys stops an end before it begins, not half-way.
call('HLEN', ended)
call('HLEN', keys)
call('XLEN', facts)
may_expire = call('ZCARD', expiring) > 0
local may_follow = call('HLEN', behind) > 0

-- One fact: the step and the state reached, when the job is due (false: it has ended), the process, and further words.
-- `raw` is the record before the step, `said` what the worker tells of the start that led to it; `rank` that of its end,
-- `ran` and `waited` the milliseconds for which a start ran, and for which it had been due before (false: no start).
-- A script that tells ends with weigh() of shrink.lua, for which `told` counts bytes.
local told = 0
local function weight(fact, record, said) return #fact + #record + #said + 32 end
local function add_fact(fact, kind, raw, said, rank)
    begin_life()
    call('XADD', facts, '*', 'fact', fact, 'record', raw, 'said', said, kind, rank)
    told = told + weight(fact, raw, said)
end

local function tell(what, state, id, run, ready, label, words, raw, said, rank, ran, waited)
    local fact = cmsgpack.pack({what, state, id, run, now, ready, label, words, ran or false, waited or false})
    add_fact(fact, what == 'accepted' and what or state, raw or '', said or '', rank or '')
end

local function tell_accepted(ids)
    if #ids > 0 then tell('accepted', 'queued', '', 0, false, '', {table.concat(ids)}) end
end

-- The ids in a fact of accepted jobs.
local function accepted_ids(fact)
    local together, ids = fact[8][1], {}
    for i = 1, #together, 16 do ids[#ids + 1] = string.sub(together, i, i + 15) end
    return ids
end

-- The rank of `count` ends in a state that come now. Once the count of that state in `meta` is N higher than the rank of
-- an end, N jobs have ended in it later: those that are active now may end earlier than they settle, nobody else can.
local function rank_of(state, count) return call('HINCRBY', meta, state, count) + call('HLEN', active) end

-- Keys that have come free, and for which a job may wait.
local freed = {}

-- The key of a job that ends is free, and it does not expire any more.
local function let_go(id, key, expires)
    if key and call('HGET', keys, key) == id then
        call('HDEL', keys, key)
        if may_follow then freed[#freed + 1] = key end
    elseif key and may_follow and call('HGET', behind, key) == id then
        call('HDEL', behind, key)
    end
    if expires then call('ZREM', expiring, id) end
end

-- A job that is in no order any more ends: its id is remembered until the history has the end.
local function finish(id, run, state, key, expires)
    call('HDEL', jobs, id)
    let_go(id, key, expires)
    call('HSET', ended, id, run .. ' ' .. state)
end

-- The jobs that waited behind others get the keys that have come free, once the history has been told of those ends.
local function follow()
    local free = freed
    freed = {}
    for _, key in ipairs(free) do
        local id = call('HGET', behind, key)
        local raw = id and call('HGET', jobs, id)
        if id then call('HDEL', behind, key) end
        if raw and call('HSETNX', keys, key, id) == 1 then
            local job = read(raw)
            job.behind = nil
            -- its time was counted from one to come: the clock was set back
            if job.timed and job.timed > now then job.ready, job.timed = now + math.max(job.ready - job.timed, 0), now end
            call('HSET', jobs, id, write(job))
            put_in(id, job)
            tell('changed', 'queued', id, job.run, job.ready, '', {}, write(job))
            if job.ready <= now + 1500000 then say_word() end
        end
    end
end

-- Queued jobs whose time has passed end as expired, at most `most`; returns how many.
local function expire(most)
    if not may_expire then return 0 end
    local late = call('ZRANGEBYSCORE', expiring, '-inf', now, 'LIMIT', 0, most)
    local ended_now = 0
    for _, id in ipairs(late) do
        local raw = call('HGET', jobs, id)
        call('ZREM', expiring, id)
        if raw and call('HEXISTS', active, id) == 0 then
            local job = read(raw)
            take_out(id, job)
            finish(id, job.run, 'expired', job.key, false)
            tell('expired', 'expired', id, job.run, false, '', {}, raw, '', rank_of('expired', 1))
            ended_now = ended_now + 1
        end
    end
    if #freed > 0 then follow() end
    return ended_now
end
