-- Let no claim take a job that carries a tag, or again.
-- ARGV[1]: tag, paused.
--:include queue clock record

call('HDEL', replies, '')  -- the first write frees memory
local known = call('HGET', meta, 'paused_tags')
local tags = known and cmsgpack.unpack(known) or {}
tags[ask.tag] = ask.paused or nil
if next(tags) then call('HSET', meta, 'paused_tags', cmsgpack.pack(tags)) else call('HDEL', meta, 'paused_tags') end
if not ask.paused then say_word() end
return cmsgpack.pack(true)
