-- The jobs that a process holds but never heard of: the reply to their claim was lost on its way.
SELECT id, run, task, message, priority, token, attempts, starts, lost, ready_at, key, expires_at, unknown_since,
    event, event_id, about_type, about_id, claimed_at, cancel_requested
FROM jobs_job
WHERE state = 'active' AND worker_id = %(worker)s AND queue = %(queue)s
  AND NOT id = ANY (%(known)s::uuid[])
ORDER BY priority, ready_at, id
