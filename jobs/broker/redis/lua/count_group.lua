-- How many jobs of a group wait that are due.
-- ARGV[1]: group.
-- Result: the number.
--:include queue clock record due crowd

let_due_wait()
return count_waiting(ask.group, firsts_of_lanes())
