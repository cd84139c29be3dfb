-- Let rules hold for one group in place of the queue's, from the next claim on.
-- ARGV[1]: group; paused, concurrency, limit, per (false: as the queue says). Where they say nothing a wait ends, too, as
--   with ends_wait.
--:include queue clock record groups

call('HDEL', replies, '')  -- the first write frees memory
local raw = call('HGET', groups, ask.group)
local is_any = ask.paused or ask.concurrency or ask.limit
local wait_until = is_any and not ask.ends_wait and raw and cmsgpack.unpack(raw)[5] or false
write_group(ask.group, {ask.paused, ask.concurrency, ask.limit, ask.per}, wait_until)
say_word()
return cmsgpack.pack(true)
