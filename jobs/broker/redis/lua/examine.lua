-- Look for what is in no state, and with `mend` set it right.
-- ARGV[1]: mend; what: which of the kinds below; names: the fields or members to look at, as their own texts.
-- Result: how many of them are wrong.
--   unplaced   ids of records: one that is neither active nor in an order is put back into it
--   vanished   places, or ids of active jobs, without a record: they are taken out
--   stray_hold what stands for active jobs in their lanes, and they are none: their groups have room
--   stray_key  keys whose holder does not live: they are free
--   stray_ask  ids of cancellations asked of jobs that do not run: they are dropped
--   stray_end  ids that are said to expire and do not live: they are dropped
--:include queue clock record

local wrong = 0
local function is_wrong() wrong = wrong + 1; return ask.mend end

local orders = {waiting, lanes, due, alone}
local looks = {
    unplaced = function(id)
        local raw = call('HGET', jobs, id)
        if not raw or call('HEXISTS', active, id) == 1 then return end
        local job = read(raw)
        local place, is_placed = place_of(id, job), job.behind and call('HGET', behind, job.key) == id
        for _, order in ipairs(orders) do is_placed = is_placed or call('ZSCORE', order, place) end
        if not is_placed and is_wrong() then
            job.behind = nil
            call('HSET', jobs, id, write(job))
            put_in(id, job)
            if job.key and call('HEXISTS', keys, job.key) == 0 then call('HSET', keys, job.key, id) end
        end
    end,
    vanished = function(name)
        if #name == 16 then
            if call('HEXISTS', active, name) == 1 and call('HEXISTS', jobs, name) == 0 and is_wrong() then
                call('HDEL', active, name)
            end
        elseif call('HEXISTS', jobs, id_of(name)) == 0 and is_wrong() then
            for _, order in ipairs(orders) do call('ZREM', order, name) end
        end
    end,
    stray_hold = function(member)
        local lane, id = held_by(member)
        if call('ZSCORE', held, member) and call('HEXISTS', active, id) == 0 and is_wrong() then leave_lane(id, lane) end
    end,
    stray_key = function(key)
        local holder = call('HGET', keys, key)
        if holder and call('HEXISTS', jobs, holder) == 0 and is_wrong() then call('HDEL', keys, key) end
    end,
    stray_ask = function(id)
        if call('HEXISTS', asked, id) == 1 and call('HEXISTS', active, id) == 0 and is_wrong() then
            call('HDEL', asked, id)
        end
    end,
    stray_end = function(id)
        if call('ZSCORE', expiring, id) and call('HEXISTS', jobs, id) == 0 and is_wrong() then
            call('ZREM', expiring, id)
        end
    end,
}
for _, name in ipairs(ask.names) do looks[ask.what](name) end
if wrong > 0 and ask.mend then say_word() end
return cmsgpack.pack(wrong)
