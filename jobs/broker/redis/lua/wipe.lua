-- Forget all that the server holds of a queue: its jobs, what the history is still to hear of them, its keys and grants.
-- ARGV[1]: force (also where jobs run; else nothing is done), whole (also what says which life this is, and the leases).
-- Result: how many jobs were live, or nothing where some run.
-- Guarantees: with `whole` no key of the queue is left, unless a worker has a lease: then what fences its claims stays.
--:include queue clock groups

local running = call('HLEN', active)
if running > 0 and not ask.force then return cmsgpack.pack(nil) end
local live = call('HLEN', jobs)
call('UNLINK', jobs, waiting, due, alone, active, asked, keys, expiring, ended, pace, facts, kept, aside, leaving, wake,
    behind, lanes, held, group_pace, group_over, turns)
if ask.whole and call('HLEN', workers) == 0 then
    call('UNLINK', meta, workers, replies, groups)
else
    -- what people have asked for a group stays, as a pause does
    for name, own in pairs(own_rules()) do write_group(name, own, false) end
    call('HDEL', meta, 'told', 'heard', 'read', 'cut', 'cut_since', 'cut_until', 'vanished', 'completed', 'failed',
        'cancelled', 'expired', 'wait_from', 'wait_until')
end
return cmsgpack.pack(live)
