-- Who waits for a duplicate waits for the job that holds its key.
UPDATE jobs_edge
SET awaited_id = %(holder)s
WHERE state = '' AND awaited_id = %(id)s
