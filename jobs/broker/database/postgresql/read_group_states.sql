-- What holds for these groups of a queue otherwise than the queue says.
SELECT name, paused, wait_until, concurrency, rate_limit, rate_per
FROM jobs_groupstate
WHERE queue = %(queue)s AND name IN (SELECT json_array_elements_text(%(names)s::json))
