-- A dead letter waits again, as its next run with fresh counters; at the end of its sequence.
UPDATE jobs_job
SET state = 'blocked', run = run + 1, message = coalesce(%(message)s, message),
    ready_at = clock_timestamp(), timed_at = clock_timestamp(), expires_at = NULL,
    attempts = 0, starts = 0, lost = 0, alone = false, cancel_requested = false, unknown_since = NULL,
    claimed_at = NULL, started_at = NULL, ended_at = NULL, reason = '', place = NULL,
    awaited = awaited OR sequence > '' OR EXISTS (SELECT 1 FROM jobs_member AS member WHERE member.job_id = %(id)s AND member.role = '')
WHERE id = %(id)s AND state = 'failed'
RETURNING run
