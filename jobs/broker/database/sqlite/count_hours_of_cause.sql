-- How many of a cause's dead letters ended in each of the last hours, 0 being the present one; of the last ones only.
SELECT CAST((julianday(:now) - julianday(ended_at)) * 24 AS INTEGER) AS ago, count(*)
FROM (
    SELECT ended_at FROM jobs_job
    WHERE state = 'failed' AND cause = :cause AND ended_at > :since AND ended_at <= :now
      AND (:scopes IS NULL OR scope IN (SELECT value FROM json_each(:scopes)))
    ORDER BY ended_at DESC
    LIMIT :most
) AS last
GROUP BY ago
