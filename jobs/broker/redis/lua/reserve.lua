-- Reserve starts under a limit that several queues share. KEYS[1]: pace, a zset under the limit's own tag, of a claim's
-- starts, by the moment until which they have to begin.
-- ARGV[1]: limit, per, guard, wanted, id (of the claim).
-- Result: {how many, how long until one more may start where that is less than wanted, or false}.
-- Guarantees: no more than the limit in any rolling period. The same id again takes the place of what it had.
local ask = cmsgpack.unpack(ARGV[1])
local call, pace = redis.call, KEYS[1]
--:include clock
-- as in parts/pace.lua
local LONGEST_GUARD, SLACK = 1000000, 20000

-- the first write frees memory
call('ZREMRANGEBYSCORE', pace, '-inf', now - ask.per)
for i = 1, ask.wanted do call('ZREM', pace, ask.id .. i) end
local most = string.format('%.0f', now + LONGEST_GUARD + SLACK)
for _, grant in ipairs(call('ZRANGEBYSCORE', pace, '(' .. most, '+inf', 'LIMIT', 0, 5000)) do
    call('ZADD', pace, now + ask.guard, grant)
end
local taken = call('ZCARD', pace)
local number = math.max(0, math.min(ask.wanted, ask.limit - taken))
for i = 1, number do call('ZADD', pace, now + ask.guard, ask.id .. i) end
if number > 0 then call('PEXPIRE', pace, math.ceil((ask.per + LONGEST_GUARD) / 1000) + 1000) end
if number == ask.wanted then return cmsgpack.pack({number, false}) end
local rank = taken + number - ask.limit
local ends = call('ZRANGE', pace, rank, rank, 'WITHSCORES')[2]
return cmsgpack.pack({number, ends and math.max(0, ends + ask.per - now) or false})
