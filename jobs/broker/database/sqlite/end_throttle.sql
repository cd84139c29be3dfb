-- A throttle ends that began with this job.
DELETE FROM jobs_throttle WHERE queue = :queue AND key = :key AND job_id = :id
RETURNING job_id
