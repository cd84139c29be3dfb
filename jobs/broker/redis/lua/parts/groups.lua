-- What holds for single groups: see parts/lanes.lua for the values of `groups`.

local function own_rules()
    local found, rules = call('HGETALL', groups), {}
    for i = 1, #found, 2 do rules[found[i]] = cmsgpack.unpack(found[i + 1]) end
    return rules
end

-- Keep what holds for a group, with until when it is told to wait (false: it is not); what says nothing is kept nowhere.
local function write_group(name, own, wait_until)
    own[5], own[6] = wait_until, wait_until and now
    if not (own[1] or own[2] or own[3] or own[5]) then return call('HDEL', groups, name) end
    call('HSET', groups, name, cmsgpack.pack(own))
end
