-- Let a live job stand as if it had been accepted now.
UPDATE jobs_job
SET created_at = :created_at, timed_at = :timed_at, ready_at = :ready_at, expires_at = :expires_at,
    claimed_at = CASE WHEN claimed_at > :now THEN :now ELSE claimed_at END,
    started_at = CASE WHEN started_at > :now THEN :now ELSE started_at END,
    unknown_since = CASE WHEN unknown_since > :now THEN :now ELSE unknown_since END
WHERE id = :id AND state IN ('pending', 'queued')
