-- Remove the grants of a group that are over.
DELETE FROM jobs_grant
WHERE queue = %(queue)s AND subject = %(subject)s AND start_by <= %(before)s
