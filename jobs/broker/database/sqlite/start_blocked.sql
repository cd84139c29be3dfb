-- blocked -> queued or pending: of these jobs those that wait for none any more, of a sequence only the first. One with a key goes by way of the outbox.
UPDATE jobs_job
SET state = CASE WHEN :straight AND key IS NULL THEN 'queued' ELSE 'pending' END,
    ready_at = max(ready_at, :now), timed_at = CASE WHEN ready_at < :now THEN :now ELSE timed_at END
WHERE state = 'blocked' AND id IN (SELECT value FROM json_each(:ids))
  AND NOT EXISTS (SELECT 1 FROM jobs_edge WHERE waiting_id = jobs_job.id AND jobs_edge.state = '')
  AND (sequence = '' OR (place IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM jobs_job AS before
    WHERE before.queue = jobs_job.queue AND before.sequence = jobs_job.sequence AND before.sequence > ''
      AND before.place < jobs_job.place AND before.ended_at IS NULL
  )))
RETURNING id, queue, state
