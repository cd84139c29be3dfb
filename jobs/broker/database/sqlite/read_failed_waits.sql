-- Blocked jobs that do not run where one that they wait for has failed, with those that did, in their order. Of a job
-- that runs only where the one it waits for fails, however that one has ended.
SELECT job.id, job.queue, job.on_failure, edge.awaited_id, edge.state, edge.error
FROM jobs_job AS job
JOIN jobs_edge AS edge INDEXED BY jobs_edge_states ON edge.waiting_id = job.id
WHERE job.id IN (SELECT value FROM json_each(:ids))
  AND job.state = 'blocked' AND job.on_failure <> 'run' AND NOT edge.excused
  AND edge.state IN ('failed', 'cancelled', 'expired', CASE job.on_failure WHEN 'failed' THEN 'completed' END)
ORDER BY job.id, edge.position
