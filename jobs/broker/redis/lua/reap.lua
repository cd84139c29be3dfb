-- Give back what the silent hold, and end queued jobs whose time has passed, at most 1,000.
-- ARGV[1]: before (whose lease ended before that, or before now), blame (else no lease is looked at).
-- Result: {lost, failed, expired, processes that are gone}.
--:include queue clock life record end shrink release

call('HDEL', replies, '')  -- the first write frees memory
local lost, failed, gone, is_known = 0, 0, {}, {[NOBODY] = true}
local function lose(worker, label)
    local moved, dead = give_back(worker, label, true)
    lost, failed, gone[#gone + 1] = lost + moved, failed + dead, worker
end

local known = call('HGETALL', workers)
for i = 1, #known, 2 do
    local worker, process = known[i], cmsgpack.unpack(known[i + 1])
    is_known[worker] = true
    if process[2] > now then
        -- the clock was set back: a lease lasts its own length, not as long as the clock needs to catch up
        process[1], process[2] = now + process[3], now
        call('HSET', workers, worker, cmsgpack.pack(process))
    elseif ask.blame and process[1] < (ask.before or now) then
        lose(worker, process[4])
    end
end
for _, hold in ipairs(call('HVALS', active)) do
    local worker = string.match(hold, '^%S+')
    if not is_known[worker] then
        is_known[worker] = true
        lose(worker, '')
    end
end
local late = expire(1000)
weigh()
return cmsgpack.pack({lost, failed, late, gone})
