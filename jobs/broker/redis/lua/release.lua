-- End the lease of a process that is gone, and give its jobs back.
-- ARGV[1]: worker, label, lost (whether it counts as a loss).
-- Result: how many jobs went back. Called again it does nothing.
--:include queue clock life record end shrink release

local moved = give_back(ask.worker, ask.label, ask.lost)
weigh()
return cmsgpack.pack(moved)
