-- Forget what a queue was granted under a limit that it no longer has.
DELETE FROM jobs_grant
WHERE queue = %(queue)s AND subject = ''
