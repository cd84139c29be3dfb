-- The two streams of facts, read in the order that they have together.

-- The next facts, or packets of facts, behind a position (false: the first): the stream that they stand in, the
-- entries, and whether no others are behind them.
local function next_facts(after, limit)
    local first = after and '(' .. after or '-'
    local fact, packet = call('XRANGE', facts, first, '+', 'COUNT', 1)[1], call('XRANGE', kept, first, '+', 'COUNT', 1)[1]
    if packet and not (fact and is_behind(packet[1], fact[1])) then
        return kept, call('XRANGE', kept, first, fact and '(' .. fact[1] or '+', 'COUNT', 20), false
    end
    local found = call('XRANGE', facts, first, packet and '(' .. packet[1] or '+', 'COUNT', limit)
    return facts, found, #found < limit and not packet
end
