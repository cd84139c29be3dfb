-- How many jobs of one priority wait in each of these lanes, due and yet to come; each number stops at 10,000.
SELECT
    given.lane,
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s
          AND lane = given.lane AND ready_at <= %(now)s
        LIMIT 10000) AS waiting),
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs_job
        WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s
          AND lane = given.lane AND ready_at > %(now)s
        LIMIT 10000) AS scheduled)
FROM json_array_elements_text(%(lanes)s::json) AS given (lane)
