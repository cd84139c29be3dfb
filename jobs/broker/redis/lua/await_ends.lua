-- Let the ends of these jobs be told whole, whatever retention keeps: others wait for them.
-- ARGV[1]: ids. Result: of each its state: 'queued' while it lives, how it has ended, or false where it is not known.
--:include queue clock record

call('HDEL', replies, '')  -- the first write frees memory
local states = {}
for i, id in ipairs(ask.ids) do
    local raw, over = call('HGET', jobs, id), call('HGET', ended, id)
    states[i] = raw and 'queued' or over and string.match(over, '%d+ (%a+)') or false
    if raw and not is_awaited(raw) then
        local job = read(raw)
        job.row, job.awaited = true, true
        call('HSET', jobs, id, write(job))
    end
end
return cmsgpack.pack(states)
