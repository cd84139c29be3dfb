-- The result of the atomic task that has committed.
SELECT result FROM jobs_marker WHERE job_id = :job
