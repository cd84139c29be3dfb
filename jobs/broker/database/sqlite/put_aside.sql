-- Puts waiting jobs into another lane; answers which.
UPDATE jobs_job
SET lane = :lane
WHERE state = 'queued' AND id IN (SELECT value FROM json_each(:ids))
RETURNING id
