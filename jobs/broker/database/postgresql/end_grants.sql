-- Remove the oldest grants that are over, at most so many.
DELETE FROM jobs_grant
WHERE id = ANY (ARRAY(
    SELECT id FROM jobs_grant
    WHERE queue = %(queue)s AND subject = '' AND start_by <= %(before)s::timestamp AT TIME ZONE 'UTC'
    ORDER BY start_by
    LIMIT %(most)s
))
RETURNING number
