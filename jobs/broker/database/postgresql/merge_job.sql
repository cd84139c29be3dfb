-- What facts change of rows that are there, as JSON: what was erased from their other columns stays erased (G13).
UPDATE jobs_job AS job
SET run = given.run, state = given.state, ready_at = given.ready_at, expires_at = given.expires_at,
    started_at = given.started_at, ended_at = given.ended_at, attempts = given.attempts, starts = given.starts, lost = given.lost,
    token = given.token, result = given.result, error = given.error, reason = given.reason
FROM json_to_recordset(%(rows)s::json) AS given (
    id uuid, run smallint, state text, ready_at timestamptz, expires_at timestamptz, started_at timestamptz,
    ended_at timestamptz, attempts smallint, starts integer, lost smallint, token bigint, result text, error text,
    reason text
)
WHERE job.id = given.id
