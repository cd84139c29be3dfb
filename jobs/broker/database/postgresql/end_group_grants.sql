-- Remove the grants of a group, or of a limit, that are over; not those of which somebody gives slots back and then waits
-- for the lock that is held here.
DELETE FROM jobs_grant
WHERE id IN (
    SELECT id FROM jobs_grant
    WHERE queue = %(queue)s AND subject = %(subject)s AND start_by <= %(before)s
    FOR UPDATE SKIP LOCKED
)
