-- The grants made at a moment that is yet to come: the clock was set back.
SELECT id, granted_at, start_by
FROM jobs_grant
WHERE queue = :queue AND start_by > :now AND granted_at > :now
