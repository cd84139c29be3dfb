-- What people have changed of a job whose row was there, beside its due time.
UPDATE jobs_job
SET priority = :priority, message = :message, timed_at = :timed_at
WHERE id = :id
