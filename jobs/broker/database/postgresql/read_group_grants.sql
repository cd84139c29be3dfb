-- The grants of these groups that are not long over, the oldest first: one step into the index for each group, whatever
-- the statistics say.
SELECT held.subject, held.number, held.start_by, held.granted_at
FROM json_array_elements_text(%(subjects)s::json) AS given (subject)
CROSS JOIN LATERAL (
    SELECT subject, number, start_by, granted_at FROM jobs_grant
    WHERE queue = %(queue)s AND subject = given.subject AND start_by > %(since)s
    OFFSET 0
) AS held
ORDER BY held.start_by
