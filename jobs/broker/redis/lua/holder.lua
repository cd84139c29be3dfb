-- The job that a key is answered with: the live one that holds it, else the first one of a throttle that lasts.
-- ARGV[1]: key. The last of KEYS remembers the throttle. Result: an id, or nothing.
--:include queue clock

local id, key = call('HGET', keys, ask.key), KEYS[#KEYS]
if id and call('HEXISTS', jobs, id) == 1 then return id end
local known = call('GET', key)
return known and tonumber(string.sub(known, 17)) > now and string.sub(known, 1, 16) or ''
