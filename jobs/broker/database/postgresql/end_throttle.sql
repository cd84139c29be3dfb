-- A throttle ends that began with this job.
DELETE FROM jobs_throttle WHERE queue = %(queue)s AND key = %(key)s AND job_id = %(id)s
RETURNING job_id
