-- Let the queue know what the history knows better, after something may have been lost.
-- ARGV[1]: live (id, run, attempts, starts and lost of jobs that live by the history), over (id and run of such as have
--   ended by it), done (the generation that is mended, or false).
-- Result: of each of `live` whether it is known here: it lives, or has ended and the history is still to hear of it.
-- Guarantees: counters never fall. What has ended does not start again; nothing is told of it, since the history knows.
--:include queue clock record

local function learn(id, raw, run, attempts, starts, lost)
    local job = read(raw)
    if job.run > run or (job.run == run and job.attempts >= attempts and job.starts >= starts and job.lost >= lost) then
        return
    end
    local is_active = call('HEXISTS', active, id) == 1
    if not is_active then take_out(id, job) end
    if run > job.run then job.attempts, job.starts, job.lost = 0, 0, 0 end
    job.run, job.attempts = run, math.max(job.attempts, attempts)
    job.starts, job.lost = math.max(job.starts, starts), math.max(job.lost, lost)
    call('HSET', jobs, id, write(job))
    if not is_active then put_in(id, job) end
end

call('HDEL', replies, '')  -- the first write frees memory
local known = {}
for i, one in ipairs(ask.live) do
    local raw, over = call('HGET', jobs, one[1]), call('HGET', ended, one[1])
    known[i] = raw or (over and tonumber(string.match(over, '%d+')) >= one[2]) or false
    if raw then
        learn(one[1], raw, one[2], one[3], one[4], one[5])
        known[i] = true
    end
end
for _, one in ipairs(ask.over) do
    local id, raw = one[1], call('HGET', jobs, one[1])
    local job = raw and read(raw)
    if job and job.run <= one[2] then
        call('HDEL', active, id)
        call('HDEL', asked, id)
        if job.lane then leave_lane(id, job.lane) end
        take_out(id, job)
        call('HDEL', jobs, id)
        if job.key and call('HGET', keys, job.key) == id then call('HDEL', keys, job.key) end
    end
end
if ask.done and call('HGET', meta, 'generation') == ask.done then
    call('HDEL', meta, 'mending')
    say_word()
end
return cmsgpack.pack(known)
