-- After the clock was set back: what waits for a moment counted from a time to come waits from now on.
-- Result: {moved, by how much the clock was ahead at least, whether there are more}. At most 1,000 jobs a call.
-- A look costs nothing while the clock runs forward: `latest` is the latest time that a push or a settlement saw.
--:include queue clock record groups

local SLACK, MOST = 1000000, 1000
if tonumber(call('HGET', meta, 'latest') or 0) <= now + SLACK then return cmsgpack.pack({0, 0, false}) end

local moved, ahead = 0, 0
local wait = call('HMGET', meta, 'wait_from', 'wait_until')
if wait[1] and tonumber(wait[1]) > now + SLACK then
    ahead = wait[1] - now
    call('HSET', meta, 'wait_from', now, 'wait_until', wait[2] - ahead)
end

for name, own in pairs(own_rules()) do
    if own[6] and own[6] > now + SLACK then
        ahead = math.max(ahead, own[6] - now)
        write_group(name, own, own[5] - (own[6] - now))
    end
end

local function set_right(id, job, by)
    take_out(id, job)
    if job.timed or job.ready <= job.created then job.ready, job.timed = math.max(job.ready - by, now), now end
    if job.expires then job.expires = job.expires - math.max(job.created - now, 0) end
    if job.unknown and job.unknown > now then job.unknown = now end
    job.created = math.min(job.created, now)
    call('HSET', jobs, id, write(job))
    put_in(id, job)
end

local function set_all_right(places)
    for _, place in ipairs(places) do
        if moved == MOST then return end
        local id = id_of(place)
        local raw = call('HGET', jobs, id)
        local job = raw and read(raw)
        local by = job and math.max(job.created, job.timed or 0) - now or 0
        if by > SLACK then
            set_right(id, job, by)
            moved, ahead = moved + 1, math.max(ahead, by)
        end
    end
end

-- all that wait: this happens after an accident only, and every job must be looked at
for _, order in ipairs({waiting, lanes, due, alone}) do
    if moved < MOST then set_all_right(call('ZRANGE', order, 0, -1)) end
end
if moved < MOST then call('HSET', meta, 'latest', now) end
if moved > 0 then say_word() end
return cmsgpack.pack({moved, ahead, moved == MOST})
