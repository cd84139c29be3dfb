-- The processes that hold a lease, or held one and were not reaped yet.
-- Result: id, then the end of the lease, when it was renewed, its length, the label, what else is told, since when it is
--   known and its clock's offset and whether it is paused, of each.
--:include queue

local found, known = {}, call('HGETALL', workers)
for i = 1, #known, 2 do found[#found + 1] = {known[i], cmsgpack.unpack(known[i + 1])} end
return cmsgpack.pack(found)
