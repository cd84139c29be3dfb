-- The groups that were told to wait at a moment that is yet to come.
SELECT id, wait_from, wait_until
FROM jobs_groupstate
WHERE wait_from > :after AND wait_until IS NOT NULL
