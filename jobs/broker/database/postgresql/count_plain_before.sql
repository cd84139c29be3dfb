-- How many jobs without a lane of one priority stand before a place; at most so many are counted.
SELECT count(*) FROM (
    SELECT FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane = '' AND priority = %(priority)s
      AND (ready_at, id) < (%(ready_at)s::timestamptz, %(id)s::uuid)
      AND (expires_at IS NULL OR expires_at > %(now)s)
    LIMIT %(most)s
) AS before
