-- Which life of the server's this is, and what of another one is lost in it.
-- ARGV[1]: generation, after (the position up to which the history holds the facts of that generation).
-- Result: {generation, sequence, whether facts that the history holds are lost here}.
-- An error where a key of the queue holds what is not ours.
--:include queue clock life fork kinds

local foreign = is_foreign()
if foreign then return foreign end
local now_generation, _, is_lost = begin_life(), read_on(ask.generation, ask.after)
return cmsgpack.pack({now_generation, tonumber(call('HGET', meta, 'sequence') or 0), is_lost})
