-- queued -> active: claim these jobs, as far as they still wait. The token rises with each claim.
UPDATE jobs_job
SET state = 'active', token = token + 1, worker_id = :worker, claimed_at = :now
WHERE state = 'queued' AND id IN (SELECT value FROM json_each(:ids)) AND (expires_at IS NULL OR expires_at > :now)
RETURNING id, run, task, message, priority, token, attempts, starts, lost, ready_at, key, expires_at, unknown_since,
    event, event_id, about_type, about_id, scope, "group", tags
