-- blocked -> failed or cancelled: one that it waited for has not completed.
UPDATE jobs_job
SET state = CASE WHEN %(cancels)s THEN 'cancelled' ELSE 'failed' END, ended_at = clock_timestamp(),
    error = CASE WHEN %(cancels)s THEN error ELSE %(text)s END,
    reason = CASE WHEN %(cancels)s THEN %(text)s ELSE '' END
WHERE id = %(id)s AND state = 'blocked'
RETURNING task
