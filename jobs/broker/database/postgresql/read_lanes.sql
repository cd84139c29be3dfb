-- The first due jobs of each of these lanes.
SELECT job.id, job.lane, job.ready_at, job.tags
FROM json_array_elements_text(%(lanes)s::json) AS given (lane)
CROSS JOIN LATERAL (
    SELECT id, lane, ready_at, tags FROM jobs_job
    WHERE queue = %(queue)s AND state = 'queued' AND NOT alone AND lane <> '' AND priority = %(priority)s AND lane = given.lane
      AND ready_at <= %(now)s
    ORDER BY ready_at, id
    LIMIT %(most)s
) AS job
