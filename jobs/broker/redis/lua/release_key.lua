-- A job gives its key away, and ends a throttle that began with it.
-- ARGV[1]: key, id. The last of KEYS remembers the throttle. Result: whether that changed anything.
-- Guarantees: only the job itself frees its key. One that waits behind it gets the key.
--:include queue clock life record end shrink

local key, released = KEYS[#KEYS], false
local known, raw = call('GET', key), call('HGET', jobs, ask.id)
local is_first = known and string.sub(known, 1, 16) == ask.id
call('HDEL', replies, '')  -- the first write frees memory
if is_first then
    call('DEL', key)
    released = true
end
if raw and call('HGET', keys, ask.key) == ask.id then
    local job = read(raw)
    job.key = false
    let_go(ask.id, ask.key, false)
    call('HSET', jobs, ask.id, write(job))
    tell('changed', 'queued', ask.id, job.run, job.ready, '', {}, write(job))
    released = true
end
weigh()
return cmsgpack.pack(released)
