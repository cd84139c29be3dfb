-- Ask a running job to cancel; the first reason stays.
UPDATE jobs_job
SET cancel_requested = 1, reason = CASE WHEN cancel_requested THEN reason ELSE :reason END
WHERE id = :id AND queue = :queue AND state = 'active'
RETURNING queue
