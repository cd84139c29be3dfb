-- How many jobs are active in each lane of a queue, over all workers.
SELECT lane, count(*)
FROM jobs_job
WHERE queue = %(queue)s AND state = 'active' AND lane <> ''
GROUP BY lane
