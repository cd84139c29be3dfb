-- How many jobs are active in each lane of a queue, over all workers.
SELECT lane, count(*)
FROM jobs_job INDEXED BY jobs_active_lane
WHERE queue = :queue AND state = 'active' AND NOT (lane = '')
GROUP BY lane
