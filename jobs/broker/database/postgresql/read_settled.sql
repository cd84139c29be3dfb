-- Whether this settlement, whose reply was lost on its way, is in the history.
SELECT 1
FROM jobs_attempt
WHERE job_id = %(job)s AND run = %(run)s AND claimed_at = %(claimed_at)s AND outcome = %(outcome)s
