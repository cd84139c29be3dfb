-- Cancel jobs that wait, and with `also` a dead letter or, by asking it, one that runs.
-- ARGV[1]: ids, reason, also; run: of one whose row is on its way here, above 0, which is not taken in any more.
-- Result: for each "cancelled", "asked", "ended", or false: not known, or left as it is.
--:include queue clock life record end shrink

call('HDEL', replies, '')  -- the first write frees memory
local answers = {}
for i, id in ipairs(ask.ids) do
    local raw, over = call('HGET', jobs, id), call('HGET', ended, id)
    local run, state = string.match(over or '', '(%d+) (%a+)')
    answers[i] = false
    if raw and call('HEXISTS', active, id) == 0 then
        local job = read(raw)
        take_out(id, job)
        finish(id, job.run, 'cancelled', job.key, false)
        tell('cancelled', 'cancelled', id, job.run, false, '', {ask.reason}, raw, '', rank_of('cancelled', 1))
        answers[i] = 'cancelled'
    elseif raw and ask.also then
        call('HSET', asked, id, ask.reason)
        answers[i] = 'asked'
    elseif state == 'failed' and ask.also then
        call('HSET', ended, id, run .. ' cancelled')
        -- without a rank: its row is there, and retention takes it like any other
        tell('discarded', 'cancelled', id, tonumber(run), false, '', {ask.reason})
        answers[i] = 'cancelled'
    elseif state and ask.also then
        answers[i] = 'ended'
    elseif ask.run > 0 then
        call('HSET', ended, id, ask.run .. ' cancelled')
        tell('cancelled', 'cancelled', id, ask.run, false, '', {ask.reason})
        answers[i] = 'cancelled'
    end
end
weigh()
return cmsgpack.pack(answers)
