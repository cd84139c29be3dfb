-- A live job gives its key away.
UPDATE jobs_job
SET key = NULL
WHERE id = :id AND queue = :queue AND key = :key AND state IN ('queued', 'active')
RETURNING id
