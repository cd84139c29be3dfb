-- The atomic task has completed: its result commits with it.
UPDATE jobs_marker SET result = %(result)s WHERE job_id = %(job)s::uuid
