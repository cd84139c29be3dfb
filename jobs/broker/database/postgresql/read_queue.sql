-- What holds for the whole queue.
SELECT paused, wait_until, taken
FROM jobs_queuestate
WHERE queue = %(queue)s
