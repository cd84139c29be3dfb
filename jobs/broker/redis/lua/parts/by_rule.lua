-- Stands in push.lua, where some job has a rule for the case that its key is held.
-- job.rule: throttle, debounce, replace, rerun (also said of one that waits behind already: behind); job.span: the window
--   of a throttle, or the quiet time; job.window: which of the further KEYS remembers the throttle of this key.
local windows, waits, changed, changes, merged = {}, {}, {}, {}, {}

local function lives(id) return id and (taken[id] or call('HEXISTS', jobs, id) == 1) and id end

-- The first job of a window that lasts.
local function first_of(job)
    local key = KEYS[#KEYS - ask.windows + job.window]
    local known = windows[key] or call('GET', key)
    if known and tonumber(string.sub(known, 17)) > now then return string.sub(known, 1, 16) end
    windows[key] = job.id .. string.format('%.0f', now + job.span)
end

-- A job that waits takes over what the call says; its id and its counters stay.
local function take_over(id, job, told_of)
    local target = taken[id] or (changes[id] and changes[id].job)
    if not target then
        local raw = call('HGET', jobs, id)
        target = read(raw)
        target.row = target.row or ask.as_of and true
        changes[id] = {job = target, before = read(raw)}
        changed[#changed + 1] = id
    end
    target.told, target.priority, target.lane = told_of, job.priority, job.lane
    target.expires = job.expires or (job.expires_in and now + job.expires_in)
    if job.rule == 'debounce' then
        target.ready, target.timed = now + job.span, now
    elseif job.rule == 'replace' then
        target.ready, target.timed = job.ready or now + job.delay, now
        if job.at and job.at > now then target.ready, target.timed = job.at, false end
    end
    if ask.as_of then merged[#merged + 1] = {job.id, job.run, id} end
    return '+' .. id
end

local function answer_of(job, holder, told_of)
    local first = lives(holder)
    if job.rule == 'throttle' then return first or first_of(job) end
    local last = lives(waits[job.key] or call('HGET', behind, job.key))
    if last and not first then freed[#freed + 1] = job.key end
    if last then return take_over(last, job, told_of) end
    if not first then return end
    if call('HEXISTS', active, first) == 0 then return take_over(first, job, told_of) end
    job.behind, waits[job.key] = true, job.id
end

-- Whether the job is answered, and not to be taken in; one that is to wait behind another is marked.
by_rule = function(i, job, holder)
    answers[i] = answer_of(job, holder, ARGV[i + 1])
    return answers[i] ~= nil
end

-- Those of the new jobs that stand in an order: of the others the history is told when they do.
with_a_place = function(ids)
    local placed = {}
    for _, id in ipairs(ids) do
        if not taken[id].behind then placed[#placed + 1] = id end
    end
    return placed
end

write_by_rule = function()
    for key, known in pairs(windows) do
        local lasts = tonumber(string.sub(known, 17)) - now
        call('SET', key, known, 'PX', math.ceil(lasts / 1000) + 1000)
    end
    for _, id in ipairs(changed) do
        local job, before = changes[id].job, changes[id].before
        if not job.behind then take_out(id, before) end
        call('HSET', jobs, id, write(job))
        put_in(id, job)
        if not job.behind then tell('changed', 'queued', id, job.run, job.ready, '', {}, write(job)) end
        soon = soon or job.ready <= now + 1500000
    end
    -- their rows wait for an end
    for _, one in ipairs(merged) do
        local id, run, into = unpack(one)
        call('HSET', ended, id, run .. ' cancelled')
        tell('merged', 'cancelled', id, run, false, '', {in_hex(into)}, '', '', rank_of('cancelled', 1))
    end
end
