-- A dead letter waits again, as its next run with fresh counters; at the end of its sequence.
UPDATE jobs_job
SET state = 'blocked', run = run + 1, message = coalesce(:message, message),
    ready_at = :now, timed_at = :now, expires_at = NULL,
    attempts = 0, starts = 0, lost = 0, alone = 0, cancel_requested = 0, unknown_since = NULL,
    claimed_at = NULL, started_at = NULL, ended_at = NULL, reason = '', place = NULL,
    awaited = awaited OR sequence > '' OR EXISTS (SELECT 1 FROM jobs_member AS member WHERE member.job_id = :id AND member.role = '')
WHERE id = :id AND state = 'failed'
RETURNING run
