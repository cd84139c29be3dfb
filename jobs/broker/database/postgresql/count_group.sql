-- How many due jobs of a group wait at one priority, over all its lanes; each of the two numbers stops at a number.
-- The order is the index's: so it goes by that, whatever the statistics say.
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s
          AND lane = %(group)s AND ready_at <= %(now)s
        ORDER BY lane, ready_at
        LIMIT %(most)s) AS plain)
    + (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s
          AND lane > %(group)s AND lane < %(behind)s AND ready_at <= %(now)s
        ORDER BY lane, ready_at
        LIMIT %(most)s) AS limited)
