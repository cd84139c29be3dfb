-- The outbox: rows still pending, of these ids or all, oldest first; also those from a time to come.
SELECT id, run, queue, task, priority, message, key, ready_at, expires_at,
       event, event_id, about_type, about_id, parent_id, scope, "group", tags, attempts, starts, lost,
       rule, awaited, lane
FROM jobs_job
WHERE state = 'pending'
  AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
  AND (created_at <= :created_before OR created_at > :now)
  AND queue NOT IN (SELECT value FROM json_each(:without))
  AND id NOT IN (SELECT value FROM json_each(:without_jobs))
ORDER BY id
LIMIT :limit
