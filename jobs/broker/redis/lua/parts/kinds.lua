-- Whether each key of the queue holds what is ours; a healthy script does not ask, it meets the server's error.
local KINDS = {
    'hash', 'zset', 'zset', 'zset', 'hash', 'hash', 'hash', 'zset', 'hash',
    'hash', 'hash', 'zset', 'stream', 'list', 'hash', 'stream', 'list', 'list',
    'hash', 'zset', 'zset', 'zset', 'zset', 'hash', 'hash',
}
local function is_foreign()
    for i, key in ipairs(KEYS) do
        local kind = redis.call('TYPE', key).ok
        if kind ~= KINDS[i] and kind ~= 'none' then return redis.error_reply('WRONGTYPE ' .. key) end
    end
end
