-- The outbox: rows still pending, of these ids or all, oldest first; also those from a time to come.
SELECT id, run, queue, task, priority, message, key, ready_at, expires_at,
       event, event_id, about_type, about_id, parent_id, scope, "group", tags, attempts, starts, lost,
       rule, awaited, lane
FROM jobs_job
WHERE state = 'pending'
  AND (%(ids)s::text IS NULL OR id IN (SELECT value::uuid FROM json_array_elements_text(%(ids)s::json)))
  AND (
      created_at <= clock_timestamp() - %(older_than)s * interval '1 second'
      OR created_at > clock_timestamp() + interval '1 second'
  )
  AND queue NOT IN (SELECT json_array_elements_text(%(without)s::json))
  AND id NOT IN (SELECT value::uuid FROM json_array_elements_text(%(without_jobs)s::json))
ORDER BY id
LIMIT %(limit)s
