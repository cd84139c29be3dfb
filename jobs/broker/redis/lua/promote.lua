-- Make a queued job due now.
-- ARGV[1]: id. Result: whether that changed anything; not for a job that is due already.
--:include queue clock life record end shrink

local raw = call('HGET', jobs, ask.id)
if not raw or call('HEXISTS', active, ask.id) == 1 then return cmsgpack.pack(false) end
local job = read(raw)
if job.ready <= now then return cmsgpack.pack(false) end
take_out(ask.id, job)
job.ready, job.timed, job.row = now, now, true
local record = write(job)
call('HSET', jobs, ask.id, record)
put_in(ask.id, job)
if not job.behind then tell('changed', 'queued', ask.id, job.run, job.ready, '', {}, record) end
note_time()
say_word()
weigh()
return cmsgpack.pack(true)
