-- Remove what says nothing any more of the groups that were told to wait, and only that; not what somebody is changing.
DELETE FROM jobs_groupstate
WHERE id IN (
    SELECT id FROM jobs_groupstate
    WHERE queue = %(queue)s AND wait_until <= clock_timestamp()
      AND NOT paused AND concurrency IS NULL AND rate_limit IS NULL
    FOR UPDATE SKIP LOCKED
)
