-- Until when the oldest grant's jobs must have started, and when the newest grant was made.
SELECT
    (SELECT start_by FROM jobs_grant WHERE queue = %(queue)s AND subject = '' ORDER BY start_by LIMIT 1),
    (SELECT granted_at FROM jobs_grant WHERE queue = %(queue)s AND subject = '' ORDER BY start_by DESC LIMIT 1)
