-- How many jobs of one priority stand before a place in each of these lanes; at most so many are counted of each.
SELECT
    given.lane,
    (SELECT count(*) FROM (
        SELECT FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s
          AND lane = given.lane AND (ready_at, id) < (%(ready_at)s::timestamptz, %(id)s::uuid)
          AND (expires_at IS NULL OR expires_at > %(now)s)
        LIMIT %(most)s) AS before)
FROM json_array_elements_text(%(lanes)s::json) AS given (lane)
