-- A queue's jobs that wait for a start or for their time, by id.
SELECT id, run, queue, task, state, message, priority, ready_at, attempts, starts, lost, key, expires_at, cancel_requested,
    scope, "group", tags
FROM jobs_job
WHERE queue = %(queue)s AND state = 'queued' AND (%(after)s::uuid IS NULL OR id > %(after)s::uuid)
ORDER BY id
LIMIT %(limit)s
