-- Mark that an atomic task's transaction is under way; no row in the answer where the job has a marker.
INSERT INTO jobs_marker (job_id, run, queue, claimed_at)
VALUES (:job, :run, :queue, :claimed_at)
ON CONFLICT (job_id) DO NOTHING
RETURNING job_id
