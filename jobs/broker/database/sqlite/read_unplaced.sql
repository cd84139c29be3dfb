-- Sequences with jobs that have no place yet.
SELECT DISTINCT queue, sequence
FROM jobs_job INDEXED BY jobs_unplaced
WHERE sequence > '' AND state = 'blocked' AND place IS NULL
LIMIT 500
