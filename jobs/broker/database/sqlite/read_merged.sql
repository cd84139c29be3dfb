-- Rows before facts change them.
SELECT id, run, state, ready_at, expires_at, started_at, ended_at, attempts, starts, lost, token, result, error, reason
FROM jobs_job
WHERE id IN (SELECT value FROM json_each(:ids))
