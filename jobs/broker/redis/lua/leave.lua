-- Let nothing come in any more and nothing be claimed, since the jobs move to another broker; or end that.
-- ARGV[1]: left. Guarantees: who runs with this server still settles; a claim or a push begun after this does nothing.
--:include queue clock life record

begin_life()
if ask.left then
    call('HSET', meta, 'left', 1)
else
    call('HDEL', meta, 'left')
    say_word()
end
return cmsgpack.pack(true)
