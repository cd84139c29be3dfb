-- Change a job that waits: when it is due, its priority, or what else is told of it.
-- ARGV[1]: id, delay or at (false: due as before), priority (false: as before). ARGV[2]: what is told of it from now on,
--   ARGV[3]: what was told of it so far; empty ones: as before.
-- Result: "changed", "active", "ended", "other" (something else was told of it by now), or false: not known.
-- Guarantees: its place among those of its priority is that of its ready time, which only a new time changes.
--:include queue clock life record end shrink

local raw = call('HGET', jobs, ask.id)
if not raw then return cmsgpack.pack(call('HEXISTS', ended, ask.id) == 1 and 'ended') end
if call('HEXISTS', active, ask.id) == 1 then return cmsgpack.pack('active') end
local before, job = read(raw), read(raw)
if ARGV[3] ~= '' and job.told ~= ARGV[3] then return cmsgpack.pack('other') end
if ARGV[2] ~= '' then job.told = ARGV[2] end
if ask.priority then job.priority = ask.priority end
if ask.at then
    job.ready, job.timed = math.max(ask.at, now), ask.at <= now and now
elseif ask.delay then
    job.ready, job.timed = now + ask.delay, now
end
-- a row of it there will be
job.row = true
local record = write(job)
if record == raw then return cmsgpack.pack('changed') end
call('HSET', jobs, ask.id, record)
take_out(ask.id, before)
put_in(ask.id, job)
if not job.behind then tell('changed', 'queued', ask.id, job.run, job.ready, '', {}, record) end
if ask.at or ask.delay then note_time() end
if job.ready <= now + 1500000 and call('HEXISTS', meta, 'paused') == 0 then say_word() end
weigh()
return cmsgpack.pack('changed')
