-- How far the history is behind that holds the facts up to a position, and what left less than all.
-- ARGV[1]: after, most (where counting stops).
-- Result: {microseconds since the oldest fact that waits, 0 without one; how many wait, and whether there may be more:
--   counting stops at some bytes, too; of how many completed jobs less than all is left, and when the first and the last
--   of them ended, or false}.
--:include queue clock fork position

local MOST_BYTES = 4194304
local after, oldest, number, bytes = ask.after ~= '' and ask.after or false, false, 0, 0
while number < ask.most and bytes < MOST_BYTES do
    local stream, found = next_facts(after, 50)
    if #found == 0 then break end
    for _, entry in ipairs(found) do
        oldest = oldest or string.match(entry[1], '%d+') * 1000
        after = entry[1]
        if stream == kept then
            local _, rows, whole = unpack(cmsgpack.unpack(entry[2][2]))
            number, bytes = number + #rows + #whole, bytes + #entry[2][2]
        else
            number, bytes = number + 1, bytes + #entry[2][4] + #entry[2][6]
        end
    end
end
local is_more = number >= ask.most or bytes >= MOST_BYTES
local cut = call('HMGET', meta, 'cut', 'cut_since', 'cut_until')
return cmsgpack.pack({
    oldest and math.max(0, now - oldest) or 0, math.min(number, ask.most), is_more,
    tonumber(cut[1] or 0), cut[2] and tonumber(cut[2]), cut[3] and tonumber(cut[3]),
})
