-- Let the jobs that another broker's workers hold count here: their keys, and their places in the global concurrency and in that of their groups.
-- ARGV[1]: jobs (as for push.lua: all that are held), grants (until when each start had to begin that was granted there).
--   ARGV[2] and on: what else is told of each job, passed on unread.
-- Result: the ids of those that were held so before, and are not any more, one after the other.
-- Guarantees: what is held there is not claimed here, even where it was pushed meanwhile. One that runs here is left.
--:include queue clock life record

begin_life()
local is_named, left = {}, {}
for i, job in ipairs(ask.jobs) do
    is_named[job.id] = true
    local raw = call('HGET', jobs, job.id)
    if raw and call('HEXISTS', active, job.id) == 0 then
        local known = read(raw)
        take_out(job.id, known)
        call('HSET', active, job.id, ELSEWHERE .. string.format('%.0f', now))
        if known.lane then call('ZADD', held, 0, known.lane .. '\0' .. job.id) end
    elseif not raw and call('HEXISTS', ended, job.id) == 0 then
        job.ready, job.timed, job.created = job.ready or now, now, now
        job.unknown, job.row, job.told = false, true, ARGV[i + 1]
        call('HSET', jobs, job.id, write(job))
        call('HSET', active, job.id, ELSEWHERE .. string.format('%.0f', now))
        if job.lane then call('ZADD', held, 0, job.lane .. '\0' .. job.id) end
        local holder = job.key and call('HGET', keys, job.key)
        if job.key and not (holder and call('HEXISTS', jobs, holder) == 1) then call('HSET', keys, job.key, job.id) end
    end
end
local held = call('HGETALL', active)
for i = 1, #held, 2 do
    if is_elsewhere(held[i + 1]) and not is_named[held[i]] then left[#left + 1] = held[i] end
end
local numbers = {}
for _, start_by in ipairs(ask.grants) do
    -- said again it is the same grant
    numbers[start_by] = (numbers[start_by] or 0) + 1
    call('ZADD', pace, start_by, 'elsewhere.' .. string.format('%.0f', start_by) .. '.' .. numbers[start_by])
end
return table.concat(left)
