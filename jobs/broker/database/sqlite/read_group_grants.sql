-- The grants of these groups that are not long over, the oldest first.
SELECT subject, number, start_by, granted_at
FROM jobs_grant
WHERE queue = :queue AND subject IN (SELECT value FROM json_each(:subjects)) AND start_by > :since
ORDER BY start_by
