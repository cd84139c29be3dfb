-- queued -> active: claim the first due jobs of one priority. The token rises with each claim.
-- `alone` stands twice: Django 5.2 writes the index's condition as NOT alone, 6.1 as alone = 0; INDEXED BY needs its own.
UPDATE jobs_job
SET state = 'active', token = token + 1, worker_id = :worker, claimed_at = :now
WHERE state = 'queued' AND id IN (
    SELECT id FROM jobs_job INDEXED BY jobs_ready
    WHERE queue = :queue AND state = 'queued' AND NOT alone AND alone = 0 AND lane = ''
      AND priority = :priority AND ready_at <= :now
      AND (expires_at IS NULL OR expires_at > :now)
    ORDER BY ready_at, id
    LIMIT :wanted
)
RETURNING id, run, task, message, priority, token, attempts, starts, lost, ready_at, key, expires_at, unknown_since,
    event, event_id, about_type, about_id, scope, "group", tags
