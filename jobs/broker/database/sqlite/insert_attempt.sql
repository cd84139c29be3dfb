-- One start of a job and how it ended.
INSERT INTO jobs_attempt (job_id, run, number, outcome, worker, claimed_at, started_at, ended_at, error, traceback)
VALUES (:job, :run, :number, :outcome, :worker, :claimed_at, :started_at, :ended_at, :error, :traceback)
