-- Pause a queue, or end its pause and what a provider's "slow down" had asked for.
-- ARGV[1]: paused. A claim begun after a pause takes nothing.
--:include queue clock record

call('HDEL', replies, '')  -- the first write frees memory
if ask.paused then
    call('HSET', meta, 'paused', 1)
else
    call('HDEL', meta, 'paused', 'wait_until', 'wait_from')
    say_word()
end
return cmsgpack.pack(true)
