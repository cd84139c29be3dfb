-- One start of a job and how it ended.
INSERT INTO jobs_attempt (job_id, run, number, outcome, worker, claimed_at, started_at, ended_at, error, traceback)
VALUES (
    %(job)s, %(run)s, %(number)s, %(outcome)s, %(worker)s, %(claimed_at)s::timestamp AT TIME ZONE 'UTC',
    %(started_at)s::timestamp AT TIME ZONE 'UTC', %(ended_at)s::timestamp AT TIME ZONE 'UTC', %(error)s, %(traceback)s
)
