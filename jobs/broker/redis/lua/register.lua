-- Make processes known, or let their leases end later.
-- ARGV[1]: processes, lease, known (of each process its label and what else is told of it, to make it known; false: only
--   those are renewed that are known), clock_offset, most (bytes of facts that may wait).
-- Result: {alive, asked}: the processes that hold a lease now, and those of their jobs that were asked to cancel.
--:include queue clock

-- the first write frees memory: leases hold on a full server
call('HDEL', replies, '')
local alive, is_alive = {}, {}
for i, process in ipairs(ask.processes) do
    local raw = call('HGET', workers, process)
    local told = raw and cmsgpack.unpack(raw)
    local label, words, since = told and told[4], told and told[5], told and told[6]
    if not told and ask.known then label, words, since = ask.known[i][1], ask.known[i][2], now end
    if label then
        local lease = {now + ask.lease, now, ask.lease, label, words, since, ask.clock_offset, told and told[8] or false}
        call('HSET', workers, process, cmsgpack.pack(lease))
        alive[#alive + 1], is_alive[process] = process, true
    end
end
call('HSET', meta, 'most', ask.most)
local names = {}
for _, id in ipairs(call('HKEYS', asked)) do
    local hold = call('HGET', active, id)
    if hold and is_alive[string.match(hold, '^%S+')] then names[#names + 1] = id end
end
return cmsgpack.pack({alive, names})
