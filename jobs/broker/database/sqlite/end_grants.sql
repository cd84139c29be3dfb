-- Remove the oldest grants that are over, at most so many.
DELETE FROM jobs_grant
WHERE id IN (
    SELECT id FROM jobs_grant WHERE queue = :queue AND subject = '' AND start_by <= :before ORDER BY start_by LIMIT :most
)
RETURNING number
