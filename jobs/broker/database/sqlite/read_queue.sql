-- What holds for the whole queue; one that another broker keeps stands still here.
SELECT paused OR elsewhere, wait_until, taken
FROM jobs_queuestate
WHERE queue = :queue
