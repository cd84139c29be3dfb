-- The active jobs of a queue, over all workers.
SELECT count(*)
FROM jobs_job
WHERE queue = %(queue)s AND state = 'active'
