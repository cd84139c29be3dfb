-- blocked -> failed or cancelled: one that it waited for has not completed.
UPDATE jobs_job
SET state = CASE WHEN :cancels THEN 'cancelled' ELSE 'failed' END, ended_at = :now,
    error = CASE WHEN :cancels THEN error ELSE :text END,
    reason = CASE WHEN :cancels THEN :text ELSE '' END
WHERE id = :id AND state = 'blocked'
RETURNING task
