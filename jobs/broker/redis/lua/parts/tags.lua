-- What stands still for its tags. paused_tags: tag -> true.

-- The tags in a record: the last of what is told of the job, a JSON list behind nine other texts (record.py), which are
-- stepped over.
local function tags_in(raw)
    local told = cmsgpack.unpack_one(raw, #PAIR)
    if string.byte(raw, told + 1) < 154 then return {} end
    local at = told + 2
    for _ = 1, 9 do
        local mark = string.byte(raw, at)
        if mark < 192 then
            at = at + 1 + mark - 160
        elseif mark == 196 or mark == 217 then
            at = at + 2 + string.byte(raw, at + 1)
        elseif mark == 197 or mark == 218 then
            at = at + 3 + struct.unpack('>I2', raw, at + 1)
        else
            at = at + 5 + struct.unpack('>I4', raw, at + 1)
        end
    end
    local _, text = cmsgpack.unpack_one(raw, at - 1)
    return text ~= '' and cjson.decode(text) or {}
end

-- The first paused tag in a record; nil where it has none.
local function paused_tag_of(raw)
    for _, tag in ipairs(tags_in(raw)) do
        if paused_tags[tag] then return tag end
    end
end
