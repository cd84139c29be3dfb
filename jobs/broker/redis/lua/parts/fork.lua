-- Where two lives part: what a life told up to there, the next ones hold as well.

-- Whether a position in the facts is behind another one.
local function is_behind(one, other)
    local ms, n = string.match(one, '(%d+)-(%d+)')
    local other_ms, other_n = string.match(other, '(%d+)-(%d+)')
    ms, other_ms = tonumber(ms or 0), tonumber(other_ms or 0)
    return ms > other_ms or (ms == other_ms and tonumber(n or 0) > tonumber(other_n or 0))
end

-- From where who holds the facts of a generation up to `after` has to read on, and whether some of those are lost here.
-- A life that was lost whole parted from the one before it. '' where nothing of it is known: the server was wiped.
local function read_on(of, after)
    local told = call('HMGET', meta, 'generation', 'lives')
    if not told[1] or string.sub(of, 1, 16) ~= string.sub(told[1], 1, 16) then return '', of ~= '' end
    if of == told[1] or after == '' then return after, false end
    local number, fork = string.sub(of, 17, 20), ''
    for _, life in ipairs(told[2] and cmsgpack.unpack(told[2]) or {}) do
        if life[1] == of or string.sub(life[1], 17, 20) < number then fork = life[2] end
    end
    if fork ~= '' and is_behind(after, fork) then return fork, true end
    return fork == '' and '' or after, fork == ''
end
