-- Settle what a worker finished and claim what it has room for, in one step.
-- ARGV[1]: worker, number, many (settlements), wanted; alone; limit, per and guard of the rate limit; most: the global
--   concurrency, unless others were set at run time; word: whether a job comes back soon; of queues with groups and limits what parts/lanes.lua says. Behind it of all settlements the ids, then the holds, then what else
--   is asked (parts/settle.lua), then what the history is told of each, passed on unread.
-- Result: a MessagePack of {states, wait, now, life, first, paced, short}, the generation, how long ago that was, then id and record of
--   each claimed job: the state that each settlement reached, false where it is refused, 'former' where its token is of
--   another life than this one (testify.lua); for how long there is nothing to claim, or false; the tokens of the jobs are
--   life and number, from `first` on; paced: the guard of their grants, or false; short: the names of limits that kept a job from its start, where there are any. The same number brings the same reply, without the records of jobs that the worker
--   does not hold any more. The last number alone where `number` is lower.
-- Guarantees: a settlement counts once, under its token only. Nothing is claimed without a lease, while the queue is
--   paused or told to wait, while a new life is to be mended, beyond the limit of any rolling period or beyond the global concurrency.
--:include queue clock life record end settle pace

-- What holds where jobs have lanes. soonest: when something that this claim passed over may start; paced: the guard of
-- its grants, where a group has a rate.
local take_turns, takes_turn, hold_lane, note_used, soonest, paced
-- tag -> true, of the paused ones; false where there is none.
local paused_tags = false
-- The limits that kept a job from its start; nothing where there is none.
local short
local function with_lanes()
--:include tags lanes
end
--:include due claim

-- Small facts are weighed together.
local ENOUGH = 16384

-- A script makes all its functions each time it runs: those that are needed seldom stand in here.
local function weigh_what_was_told()
--:include shrink
    weigh()
end

local function answer_again(head, at, life, first, ids)
    local words = {head, generation, now - at}
    for i = 1, #ids, 16 do
        local id, token = string.sub(ids, i, i + 15), life .. '.' .. string.format('%.0f', first + (i - 1) / 16)
        local mine = ask.worker .. ' ' .. token .. ' '
        local hold, raw = call('HGET', active, id), call('HGET', jobs, id)
        words[#words + 1] = id
        words[#words + 1] = raw and hold and string.sub(hold, 1, #mine) == mine and raw or ''
    end
    return words
end

-- What was set at run time wins over what the worker says.
local function go_by_limits()
    local set = call('HGET', meta, 'limits')
    if not set then return end
    local limit, per, most = unpack(cmsgpack.unpack(set))
    if limit then ask.limit, ask.per = limit > 0 and limit, per end
    if most then ask.most = most > 0 and most end
end

begin_life()
go_by_limits()
local known, last = call('HGET', workers, ask.worker), call('HGET', replies, ask.worker)
local told_before = 0
if last then
    local _, number, told_then = cmsgpack.unpack_limit(last, 2)
    if ask.number < number then return number end
    if ask.number == number then return answer_again(select(3, cmsgpack.unpack(last))) end
    told_before = told_then
end

local lease_until, _, label
local is_paused
if known then
    local told = cmsgpack.unpack(known)
    lease_until, label, is_paused = told[1], told[4], told[8]
end
local raws, reasons, gone, former = read_settled(ask.many)
-- the first write frees memory, so that a full server drains
if #gone == 0 then call('HDEL', replies, ask.worker) end
local states = settle(ask.many, raws, reasons, gone, former, label or '')
if #freed > 0 then follow() end
local got, wait, first = {}, false, 0
if known and lease_until >= now and not is_paused and ask.wanted > 0 then got, wait, first = claim(ask.worker, ask.wanted, ask.alone) end
first = first or 0
told = told + told_before
if told >= ENOUGH or not known then weigh_what_was_told() end
local head, ids = cmsgpack.pack({states, wait, now, generation, first, paced or ask.limit and ask.guard or false, short}), {}
for i = 1, #got, 2 do ids[#ids + 1] = got[i] end
if known then
    call('HSET', replies, ask.worker, cmsgpack.pack(ask.number, told, head, now, generation, first, table.concat(ids)))
end
if ask.word or (ask.most and #ids < #states) then
    say_word()
elseif has_left_lane and #ids < #states then
    say_word(true)
end
return {head, generation, 0, unpack(got)}
