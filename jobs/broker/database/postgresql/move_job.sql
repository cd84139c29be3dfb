-- Let a live job stand as if it had been accepted now.
UPDATE jobs_job
SET created_at = %(created_at)s::timestamp AT TIME ZONE 'UTC', timed_at = %(timed_at)s::timestamp AT TIME ZONE 'UTC',
    ready_at = %(ready_at)s::timestamp AT TIME ZONE 'UTC', expires_at = %(expires_at)s::timestamp AT TIME ZONE 'UTC',
    claimed_at = CASE WHEN claimed_at > clock_timestamp() THEN clock_timestamp() ELSE claimed_at END,
    started_at = CASE WHEN started_at > clock_timestamp() THEN clock_timestamp() ELSE started_at END,
    unknown_since = CASE WHEN unknown_since > clock_timestamp() THEN clock_timestamp() ELSE unknown_since END
WHERE id = %(id)s AND state IN ('pending', 'queued')
