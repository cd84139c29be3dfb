-- blocked -> queued or pending: of these jobs those that wait for none any more, of a sequence only the first. One with a key goes by way of the outbox.
-- `|| ''`: the ids are the way in, however few rows of this state the planner takes for granted.
UPDATE jobs_job
SET state = CASE WHEN %(straight)s AND key IS NULL THEN 'queued' ELSE 'pending' END,
    ready_at = greatest(ready_at, now), timed_at = CASE WHEN ready_at < now THEN now ELSE timed_at END
FROM (SELECT clock_timestamp() AS now) AS clock
WHERE state || '' = 'blocked' AND id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
  AND NOT EXISTS (SELECT FROM jobs_edge AS edge WHERE edge.waiting_id = jobs_job.id AND edge.state = '')
  AND (sequence = '' OR (place IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM jobs_job AS before
    WHERE before.queue = jobs_job.queue AND before.sequence = jobs_job.sequence AND before.sequence > ''
      AND before.place < jobs_job.place AND before.ended_at IS NULL
  )))
RETURNING id, queue, state
