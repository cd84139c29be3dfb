-- Forget facts that the history holds, and the ids of the jobs whose end they told.
-- ARGV[1]: generation (in which they were read), last (the id of the last fact to forget). Result: how many were
--   forgotten, some thousand at most a call; none in another life, where a lower id may be of a newer fact.
--:include queue clock life record end shrink

local ids, ends = {}, {}
local function note(id, run, state)
    if state ~= 'queued' then ids[#ids + 1], ends[#ends + 1] = id, run .. ' ' .. state end
end

local function forget()
    for start = 1, #ids, 1000 do
        local over, stop = {}, math.min(start + 999, #ids)
        for i, known in ipairs(call('HMGET', ended, unpack(ids, start, stop))) do
            if known == ends[start + i - 1] then over[#over + 1] = ids[start + i - 1] end
        end
        if #over > 0 then call('HDEL', ended, unpack(over)) end
    end
end

local function behind(entries)
    local moment, number = string.match(entries[#entries][1], '(%d+)-(%d+)')
    return moment .. '-' .. string.format('%.0f', number + 1)
end

if call('HGET', meta, 'generation') ~= ask.generation then return cmsgpack.pack(0) end
local found = call('XRANGE', facts, '-', ask.last, 'COUNT', 500)
for _, entry in ipairs(found) do
    local _, state, id, run = unpack(cmsgpack.unpack(entry[2][2]))
    note(id, run, state)
end
local packets = call('XRANGE', kept, '-', ask.last, 'COUNT', 10)
for _, entry in ipairs(packets) do
    local _, rows, whole = unpack(cmsgpack.unpack(entry[2][2]))
    for _, row in ipairs(rows) do note(row[1], row[2], 'completed') end
    for _, one in ipairs(whole) do
        local _, state, id, run = unpack(cmsgpack.unpack(one[1]))
        note(id, run, state)
    end
end
forget()
if #found > 0 then call('XTRIM', facts, 'MINID', behind(found)) end
if #packets > 0 then call('XTRIM', kept, 'MINID', behind(packets)) end
leave()
return cmsgpack.pack(#found + #packets)
