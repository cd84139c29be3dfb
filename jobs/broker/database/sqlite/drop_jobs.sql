-- Rows of jobs that ended in this run, and of which retention keeps nothing. What ended before stays as it is,
-- and what others wait for.
DELETE FROM jobs_job
WHERE id IN (SELECT value FROM json_each(:ids))
  AND (run < :run OR (run = :run AND state IN (SELECT value FROM json_each(:states))))
  AND NOT awaited
RETURNING id
