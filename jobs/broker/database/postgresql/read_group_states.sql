-- What holds for these groups of a queue otherwise than the queue says: one step into the index for each, whatever the
-- statistics say.
SELECT held.name, held.paused, held.wait_until, held.concurrency, held.rate_limit, held.rate_per
FROM json_array_elements_text(%(names)s::json) AS given (name)
CROSS JOIN LATERAL (
    SELECT name, paused, wait_until, concurrency, rate_limit, rate_per FROM jobs_groupstate
    WHERE queue = %(queue)s AND name = given.name
    LIMIT 1
) AS held
