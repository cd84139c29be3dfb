-- Starts of jobs and how they ended, as JSON, in their order.
INSERT INTO jobs_attempt (job_id, run, number, outcome, worker, claimed_at, started_at, ended_at, error, traceback)
SELECT job, run, number, outcome, worker, claimed_at, started_at, ended_at, error, traceback
FROM json_to_recordset(%(rows)s::json) AS given (
    job uuid, run smallint, number smallint, outcome text, worker text, claimed_at timestamptz, started_at timestamptz,
    ended_at timestamptz, error text, traceback text
)
