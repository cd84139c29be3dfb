-- Live jobs by their ids.
-- ARGV[1]: ids. Result: of each its record, or nothing, its hold while it is active, and why it was asked to cancel.
--:include queue

local found = {}
for i, id in ipairs(ask.ids) do
    found[3 * i - 2], found[3 * i - 1] = call('HGET', jobs, id), call('HGET', active, id)
    found[3 * i] = call('HGET', asked, id)
end
return found
