-- The grants of these groups that are not long over, the oldest first.
SELECT subject, number, start_by, granted_at
FROM jobs_grant
WHERE queue = %(queue)s AND subject IN (SELECT json_array_elements_text(%(subjects)s::json)) AND start_by > %(since)s
ORDER BY start_by
