-- The lanes of the jobs of one priority that have become due since a moment, and how many; at most so many are looked at.
SELECT lane, count(*)
FROM (
    SELECT lane FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s
      AND ready_at > %(since)s AND ready_at <= %(now)s
    ORDER BY ready_at
    LIMIT %(most)s
) AS due
GROUP BY lane
