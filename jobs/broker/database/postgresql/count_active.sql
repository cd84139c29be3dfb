-- The active jobs of a queue, over all workers; at most so many are counted.
SELECT count(*) FROM (
    SELECT 1
    FROM jobs_job
    WHERE queue = %(queue)s AND state = 'active'
    LIMIT %(most)s
) AS active
