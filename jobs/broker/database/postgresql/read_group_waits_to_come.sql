-- The groups that were told to wait at a moment that is yet to come.
SELECT id, wait_from, wait_until
FROM jobs_groupstate
WHERE wait_from > clock_timestamp() + interval '1 second' AND wait_until IS NOT NULL
ORDER BY id
FOR UPDATE SKIP LOCKED
