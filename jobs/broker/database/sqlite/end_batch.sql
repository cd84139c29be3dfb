-- A batch has ended; or all its jobs have completed, some after a retry.
UPDATE jobs_batch
SET ended_at = coalesce(ended_at, :now), succeeded = :succeeded
WHERE id = :id
RETURNING id
