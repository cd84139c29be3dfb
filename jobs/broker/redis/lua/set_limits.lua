-- Note what was set of a queue's limits at run time.
-- ARGV[1]: limits ({limit, per, most, concurrency} as in `meta`; false: nothing was set). It holds from the next claim on.
--:include queue clock record

call('HDEL', replies, '')  -- the first write frees memory
if ask.limits then
    call('HSET', meta, 'limits', cmsgpack.pack(ask.limits))
else
    call('HDEL', meta, 'limits')
end
say_word()
return cmsgpack.pack(true)
