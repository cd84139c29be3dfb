-- A dead letter waits again, as its next run with fresh counters.
UPDATE jobs_job
SET state = 'blocked', run = run + 1, message = coalesce(%(message)s, message),
    ready_at = clock_timestamp(), timed_at = clock_timestamp(), expires_at = NULL,
    attempts = 0, starts = 0, lost = 0, alone = false, cancel_requested = false, unknown_since = NULL,
    claimed_at = NULL, started_at = NULL, ended_at = NULL, reason = ''
WHERE id = %(id)s AND state = 'failed'
RETURNING run
