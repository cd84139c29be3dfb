-- Remove a grant of which nothing is left.
DELETE FROM jobs_grant
WHERE id = :grant
