-- Let a grant stand at another moment.
UPDATE jobs_grant
SET granted_at = :granted_at, start_by = :start_by
WHERE id = :grant
