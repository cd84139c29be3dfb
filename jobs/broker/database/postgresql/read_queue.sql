-- What holds for the whole queue.
SELECT paused, wait_until, grants
FROM jobs_queuestate
WHERE queue = %(queue)s
