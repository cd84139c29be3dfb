-- Sequences with jobs that have no place yet.
SELECT DISTINCT queue, sequence
FROM jobs_job
WHERE sequence > '' AND state = 'blocked' AND place IS NULL
LIMIT 500
