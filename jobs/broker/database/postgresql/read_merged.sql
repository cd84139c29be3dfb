-- Rows before facts change them; in the order of their ids, so that two who lock some of the same wait in turn.
SELECT id, run, state, ready_at, expires_at, started_at, ended_at, attempts, starts, lost, token, result, error, reason
FROM jobs_job
WHERE id = ANY(%(ids)s::uuid[])
ORDER BY id
FOR NO KEY UPDATE
