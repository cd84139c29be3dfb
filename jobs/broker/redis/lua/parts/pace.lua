-- The rolling rate limit: a grant counts until one period after the moment by which its job had to start.
-- Costs of a claim: O(wanted log limit), whatever the limit.
local LONGEST_GUARD, SLACK = 1000000, 20000

-- After the clock was set back: a grant from the future counts as made now, else it would block for as long.
local function restart_grants()
    local newest = call('ZRANGE', pace, -1, -1, 'WITHSCORES')[2]
    local most = now + LONGEST_GUARD + SLACK
    if newest and tonumber(newest) > most then
        for _, grant in ipairs(call('ZRANGEBYSCORE', pace, '(' .. string.format('%.0f', most), '+inf', 'LIMIT', 0, 5000)) do
            call('ZADD', pace, now + ask.guard, grant)
        end
    end
end

-- How many grants are over, and how many more may start now.
local function pace_room()
    local over = call('ZCOUNT', pace, '-inf', now - ask.per)
    return over, math.max(0, ask.limit - (call('ZCARD', pace) - over))
end

-- How long until one more may start, when none may now.
local function pace_wait()
    local over = call('ZCOUNT', pace, '-inf', now - ask.per)
    local rank = over + math.max(0, call('ZCARD', pace) - over - ask.limit)
    local ends = call('ZRANGE', pace, rank, rank, 'WITHSCORES')[2]
    return ends and math.max(0, ends + ask.per - now) or false
end
