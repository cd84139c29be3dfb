-- Make a scheduled or retrying job due now.
UPDATE jobs_job
SET ready_at = clock_timestamp(), timed_at = clock_timestamp()
WHERE id = %(id)s AND queue = %(queue)s AND state = 'queued' AND ready_at > clock_timestamp()
RETURNING queue
