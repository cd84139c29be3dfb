-- Let a worker claim nothing more, or claim again.
-- ARGV[1]: worker, paused. A claim of it that is begun after this takes nothing.
-- Result: whether there is such a worker.
--:include queue clock record

local raw = call('HGET', workers, ask.worker)
if not raw then return cmsgpack.pack(false) end
call('HDEL', replies, '')  -- the first write frees memory
local told = cmsgpack.unpack(raw)
told[8] = ask.paused
call('HSET', workers, ask.worker, cmsgpack.pack(told))
if not ask.paused then say_word() end
return cmsgpack.pack(true)
