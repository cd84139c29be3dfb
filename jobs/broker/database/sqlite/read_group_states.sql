-- What holds for these groups of a queue otherwise than the queue says.
SELECT name, paused, wait_until, concurrency, rate_limit, rate_per
FROM jobs_groupstate
WHERE queue = :queue AND name IN (SELECT value FROM json_each(:names))
