-- In a new life: what this one believes a worker to hold, and it does not, goes back.
-- ARGV[1]: worker, ids (of the jobs that it holds). Result: how many went back.
-- So it is with a job whose settlement was lost with the last second: it starts again (at least once).
--:include queue clock life record end shrink release

local is_held, moved, held = {}, 0, call('HGETALL', active)
for _, id in ipairs(ask.ids) do is_held[id] = true end
local known = call('HGET', workers, ask.worker)
for i = 1, #held, 2 do
    local id, hold = held[i], held[i + 1]
    if not is_held[id] and string.sub(hold, 1, #ask.worker + 1) == ask.worker .. ' ' then
        local raw, reason = call('HGET', jobs, id), call('HGET', asked, id)
        call('HDEL', active, id)
        call('HDEL', asked, id)
        if raw then
            local lane = lane_of(raw)
            if lane then leave_lane(id, lane) end
            give_back_one(id, hold, raw, reason, known and cmsgpack.unpack(known)[4] or '', false)
            moved = moved + 1
        end
    end
end
if moved > 0 then say_word() end
weigh()
return cmsgpack.pack(moved)
