-- Settle what a worker finished that it claimed in another life, or whose record has vanished since.
-- ARGV[1]: worker, label, many (settlements), jobs (each job as it was claimed). Behind it of all settlements what
--   exchange.lua takes, and then what else is told of each job, passed on unread.
-- Result: of each the state that it reached, or false: refused, since somebody else runs it or its next run has begun.
-- Guarantees: (id, run) ends once; said again it is answered the same. A job that is known to have ended and may be
--   forgotten does not come back: only where all was wiped, a job that is not known does.
--:include queue clock life record end shrink settle

begin_life()
-- the first write frees memory
call('HDEL', replies, '')

-- Whether nobody else runs it; its own hold, of which only the record has vanished, goes.
local function is_nobodys(one, lane)
    local hold = call('HGET', active, one.id)
    if not hold then return true end
    if string.sub(hold, 1, #one.hold) ~= one.hold or call('HEXISTS', jobs, one.id) == 1 then return false end
    call('HDEL', active, one.id)
    call('HDEL', asked, one.id)
    if lane then leave_lane(one.id, lane) end
    call('HINCRBY', meta, 'vanished', 1)
    one.is_mine = true
    return true
end

-- The job as it lives here, or as the worker has claimed it, out of the order; nil where it is none of the worker's.
local function take_back(one, mine)
    local raw = call('HGET', jobs, one.id)
    if not raw then
        local was_wiped = string.sub(one.hold, #ask.worker + 2, #ask.worker + 17) ~= string.sub(generation, 1, 16)
        return (was_wiped or one.is_mine or one.state ~= 'queued') and mine or nil
    end
    local job = read(raw)
    if job.run > one.run then return nil end
    take_out(one.id, job)
    job.run, job.attempts = one.run, math.max(job.attempts, mine.attempts)
    job.starts, job.lost = math.max(job.starts, mine.starts), math.max(job.lost, mine.lost)
    return job
end

-- Whether the job may come back: its key is its own, or free.
local function takes_key(one, job)
    local holder = job.key and call('HGET', keys, job.key)
    if holder and holder ~= one.id and call('HEXISTS', jobs, holder) == 1 then return false end
    if job.key then call('HSET', keys, job.key, one.id) end
    return true
end

local states, many = {}, ask.many
for i = 1, many do
    local word = ARGV[i + 1 + 2 * many]
    local _, its_run, outcome, _, _, _, _, ran, waited = cmsgpack.unpack_limit(word, END, 1)
    local one = {id = ARGV[i + 1], hold = ARGV[i + 1 + many], run = its_run, state = outcome}
    local over = call('HGET', ended, one.id)
    local run, state = string.match(over or '', '(%d+) (%a+)')
    states[i] = false
    if over and tonumber(run) >= one.run then
        states[i] = tonumber(run) == one.run and state
    elseif is_nobodys(one, ask.jobs[i].lane) then
        local mine = ask.jobs[i]
        mine.timed, mine.created, mine.row, mine.told = now, now, true, ARGV[i + 1 + 4 * many]
        local job = take_back(one, mine)
        if job and (one.state ~= 'queued' or takes_key(one, job)) then
            local raw, ready = write(job), false
            if one.state == 'queued' then
                states[i], ready = come_back(one.id, raw, false, word)
            else
                states[i] = one.state
                finish(one.id, one.run, one.state, job.key, job.expires)
            end
            local rank, said = states[i] ~= 'queued' and rank_of(states[i], 1), ARGV[i + 1 + 3 * many]
            tell('settled', states[i], one.id, one.run, ready, ask.label, {''}, raw, said, rank, ran, waited)
        end
    end
end
say_word()
weigh()
return cmsgpack.pack(states)
