-- How many of a cause's dead letters ended in each of the last hours, 0 being the present one; of the last ones only.
SELECT floor(extract(epoch FROM %(now)s::timestamp AT TIME ZONE 'UTC' - ended_at) / 3600)::integer AS ago, count(*)
FROM (
    SELECT ended_at FROM jobs_job
    WHERE state = 'failed' AND cause = %(cause)s
      AND ended_at > %(since)s::timestamp AT TIME ZONE 'UTC' AND ended_at <= %(now)s::timestamp AT TIME ZONE 'UTC'
      AND (%(scopes)s::json IS NULL OR scope IN (SELECT json_array_elements_text(%(scopes)s::json)))
    ORDER BY ended_at DESC
    LIMIT %(most)s
) AS last
GROUP BY ago
