-- Blocked jobs that do not run where one that they wait for has failed, with those that did, in their order. Of a job
-- that runs only where the one it waits for fails, however that one has ended.
-- A look for each state, and `|| ''`: the indexes are the way in, however small the planner takes the tables for.
SELECT job.id, job.queue, job.on_failure, edge.awaited_id, edge.state, edge.error
FROM jobs_job AS job
CROSS JOIN LATERAL unnest(
    ARRAY['failed', 'cancelled', 'expired', CASE job.on_failure WHEN 'failed' THEN 'completed' END]
) AS ended (state)
CROSS JOIN LATERAL (
    SELECT awaited_id, state, error, position FROM jobs_edge
    WHERE waiting_id = job.id AND jobs_edge.state = ended.state AND NOT excused
    OFFSET 0
) AS edge
WHERE job.id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
  AND job.state || '' = 'blocked' AND job.on_failure <> 'run'
ORDER BY job.id, edge.position
