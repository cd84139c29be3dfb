-- Blocked jobs that do not run where one that they wait for has failed, with those that did, in their order.
-- A look for each state, and `|| ''`: the indexes are the way in, however small the planner takes the tables for.
SELECT job.id, job.queue, job.on_failure, edge.awaited_id, edge.state
FROM jobs_job AS job
CROSS JOIN (VALUES ('failed'), ('cancelled'), ('expired')) AS bad (state)
CROSS JOIN LATERAL (
    SELECT awaited_id, state, position FROM jobs_edge
    WHERE waiting_id = job.id AND jobs_edge.state = bad.state AND NOT excused
    OFFSET 0
) AS edge
WHERE job.id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
  AND job.state || '' = 'blocked' AND job.on_failure <> 'run'
ORDER BY job.id, edge.position
