-- What facts change of a row that is there: what was erased from its other columns stays erased (G13).
UPDATE jobs_job
SET run = :run, state = :state, ready_at = :ready_at, expires_at = :expires_at,
    started_at = :started_at, ended_at = :ended_at, attempts = :attempts, starts = :starts, lost = :lost,
    token = :token, result = :result, error = :error, reason = :reason
WHERE id = :id
