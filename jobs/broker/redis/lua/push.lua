-- Take jobs in, all or none.
-- ARGV[1]: jobs, as_of (when they were read from the outbox, or false). ARGV[2] and on: what else is told of each job,
--   passed on unread. windows: how many KEYS stand behind those of the queue; nothing where no job has a rule.
-- Result: {answers, generation, sequence}: of each job true (accepted), false (known), the id of the live job that holds
--   its key, + and the id of the job that took over what this one says, or - and the id of that behind which it waits.
--   No answers where the jobs have moved away (leave.lua), or, with the group in place of the generation and -1, where more
--   of its jobs would wait than one of these says (most), and then none is taken. Nil where they were read more than 10 s ago: an
--   id may be forgotten since (DESIGN: Forgetting).
-- Guarantees: an (id, run) is taken once. One live job holds a key; a key whose job has vanished is free. Begins with
--   a growing write, so that a full server refuses it whole.
--:include queue clock life record end shrink

if ask.as_of and now > ask.as_of + 10000000 then return cmsgpack.pack(nil) end

if call('HEXISTS', meta, 'left') == 1 then return cmsgpack.pack({{}, '', 0}) end

local ids, names = {}, {}
for i, job in ipairs(ask.jobs) do
    ids[i] = job.id
    names[i] = job.key or ''
end
local live, over, held = call('HMGET', jobs, unpack(ids)), call('HMGET', ended, unpack(ids)), call('HMGET', keys, unpack(names))
local holds = call('HMGET', active, unpack(ids))

local function in_hex(id)
    return (string.gsub(id, '.', function(byte) return string.format('%02x', string.byte(byte)) end))
end

-- Whether this run is known: the job lives or has ended, unless it is a dead letter whose next run this is, or comes from
-- another broker, whose worker held it.
local function is_known(i, job)
    if live[i] then return not is_elsewhere(holds[i]) end
    if not over[i] then return false end
    local run, state = string.match(over[i], '(%d+) (%a+)')
    return not (state == 'failed' and job.run > tonumber(run))
end

-- A row that gives way to the holder of its key: who has read it before that is noted may push it again, and by then the
-- key may be free.
local function give_way(job, holder)
    local state = job.run > 1 and 'failed' or 'cancelled'
    call('HSET', ended, job.id, job.run .. ' ' .. state)
    tell('refused', state, job.id, job.run, false, '', {in_hex(holder)})
end

local by_rule, write_by_rule, with_a_place
local soon, has_most = false, false
local answers, taken, holders, records, news, with_row, over_with_row = {}, {}, {}, {}, {}, {}, {}
if ask.windows then
--:include by_rule
end
for i, job in ipairs(ask.jobs) do
    local holder = job.key and (holders[job.key] or held[i])
    if taken[job.id] or is_known(i, job) then
        answers[i] = false
        local known = ask.as_of and live[i] and read(live[i])
        if known and known.behind then answers[i] = '-' .. (held[i] or job.id) end
        if known and (not known.row or (job.awaited and not known.awaited)) then
            -- it came twice, and the first answer was lost
            known.row, known.awaited = true, known.awaited or job.awaited
            with_row[#with_row + 1] = job.id
            with_row[#with_row + 1] = write(known)
        elseif ask.as_of and over[i] then
            -- the same, and its end may have become a mere count by now, or no row at all; or this run of a dead letter
            -- begins after somebody discarded it: its row waits for the end
            local run, state = string.match(over[i], '(%d+) (%a+)')
            over_with_row[#over_with_row + 1] = {job.id, math.max(tonumber(run), job.run), state}
        end
    elseif job.rule and by_rule(i, job, holder) then
        -- it is answered
    elseif not job.rule and holder and holder ~= job.id and (taken[holder] or call('HEXISTS', jobs, holder) == 1) then
        answers[i] = holder
    else
        local ready, timed = job.ready or now + job.delay, now
        if job.at then
            ready = job.ready or math.max(job.at, now)
            if job.at > now then timed = false end
        end
        job.ready, job.timed, job.created = ready, timed, now
        job.expires = job.expires or (job.expires_in and now + job.expires_in)
        job.attempts, job.starts, job.lost = job.attempts or 0, job.starts or 0, job.lost or 0
        job.unknown, job.row, job.told = false, ask.as_of and true, ARGV[i + 1]
        job.was_held = is_elsewhere(holds[i])
        answers[i], taken[job.id] = job.behind and '-' .. holder or true, job
        if job.key and not job.behind then holders[job.key] = job.id end
        records[#records + 1] = job.id
        records[#records + 1] = job
        has_most = has_most or job.most
        news[#news + 1] = job.id
    end
end

-- The first group that has no room for its new jobs that are due.
local function full_group()
--:include due crowd
    let_due_wait()
    local firsts, number = firsts_of_lanes(), {}
    for _, id in ipairs(news) do
        local job = taken[id]
        if job.most and not job.behind and job.ready <= now then
            local group = name_of(job.lane)
            number[group] = (number[group] or count_waiting(group, firsts)) + 1
            if number[group] > job.most then return group end
        end
    end
end
local full = has_most and full_group()
if full then return cmsgpack.pack({{}, full, -1}) end

if #news > 0 then
    -- a later one of the same call may have changed it
    for i = 2, #records, 2 do records[i] = write(records[i]) end
    call('HSET', jobs, unpack(records))
    tell_accepted(by_rule and with_a_place(news) or news)
    call('HDEL', ended, unpack(news))
    for _, id in ipairs(news) do
        local job = taken[id]
        if job.was_held then
            call('HDEL', active, id)
            if job.lane then leave_lane(id, job.lane) end
        end
        put_in(id, job)
        if job.behind then
            call('HSET', behind, job.key, id)
        elseif job.key then
            call('HSET', keys, job.key, id)
        end
        soon = soon or job.ready <= now + 1500000
    end
end
if #with_row > 0 then call('HSET', jobs, unpack(with_row)) end
if write_by_rule then write_by_rule() end
if ask.as_of then
    for i, job in ipairs(ask.jobs) do
        -- an id and nothing before it
        if answers[i] and answers[i] ~= true and #answers[i] == 16 then give_way(job, answers[i]) end
    end
end
-- a paused queue wakes nobody: its end does
if soon and call('HEXISTS', meta, 'paused') == 0 then say_word() end
for _, one in ipairs(over_with_row) do
    local id, run, state = unpack(one)
    local starts = state == 'completed' and '1' or '0'
    tell('counted', state, id, run, false, '', {'', starts, starts, '0', '0'})
end
note_time()
weigh()
return cmsgpack.pack({answers, begin_life(), call('HINCRBY', meta, 'sequence', 1)})
