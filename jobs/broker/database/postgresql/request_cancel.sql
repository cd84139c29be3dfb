-- Ask a running job to cancel; the first reason stays.
UPDATE jobs_job
SET cancel_requested = true, reason = CASE WHEN cancel_requested THEN reason ELSE %(reason)s END
WHERE id = %(id)s AND queue = %(queue)s AND state = 'active'
RETURNING queue
