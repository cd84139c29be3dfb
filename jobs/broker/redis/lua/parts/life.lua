-- The lives of what the server holds of a queue. A life begins with what was wiped, and with each run of a server, which
-- may have lost its last second: restarted, or another one after a fail-over. Its name is the generation: 16 letters for
-- what was never wiped in between, 4 for its number, 4 of its own. So no token comes twice, and of every fact it is known
-- in which life it was told.
-- ARGV's last: the run of the server that this script was sent to.
local server = ARGV[#ARGV]
-- So long a life that may have lost something claims nothing, unless the keeper has mended it before.
local MENDING, MOST_LIVES = 3000000, 50
local generation

-- The place behind the last fact that was told.
local function last_fact()
    if call('EXISTS', facts) == 0 then return '0-0' end
    local told = call('XINFO', 'STREAM', facts)
    for i = 1, #told, 2 do
        if told[i] == 'last-generated-id' then return told[i + 1] end
    end
end

-- The present generation; where this run of the server has told nothing yet it begins a new one. That first write frees
-- memory: a full server refuses nothing because of it.
local function begin_life()
    if generation then return generation end
    local known = call('HMGET', meta, 'generation', 'server')
    generation = known[1]
    if generation and known[2] == server then return generation end
    local chance = redis.sha1hex(server .. KEYS[1] .. string.format('%.0f', now) .. (generation or ''))
    if not generation then
        generation = string.sub(chance, 1, 16) .. '0001' .. string.sub(chance, 17, 20)
        call('HDEL', meta, 'server')
        call('HSET', meta, 'generation', generation, 'server', server)
        return generation
    end
    local known_lives, fact = call('HGET', meta, 'lives'), last_fact()
    local lives = known_lives and cmsgpack.unpack(known_lives) or {}
    lives[#lives + 1] = {generation, fact}
    if #lives > MOST_LIVES then table.remove(lives, 1) end
    local number = (tonumber(string.sub(generation, 17, 20), 16) or 0) % 65535 + 1
    generation = string.sub(generation, 1, 16) .. string.format('%04x', number) .. string.sub(chance, 1, 4)
    call('HDEL', meta, 'server')
    call('HSET', meta, 'generation', generation, 'server', server, 'lives', cmsgpack.pack(lives), 'mending', now + MENDING)
    -- any of it may have been read, and that be forgotten: it does not shrink any more (parts/shrink.lua)
    if fact ~= '0-0' then call('HSET', meta, 'read', fact) end
    return generation
end
