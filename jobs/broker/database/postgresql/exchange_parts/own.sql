-- The worker's row, locked from here on: a renewal or a reaper that comes between decides, and an exchange of this number
-- under way. Nothing that is not done under its lock was done.
walk AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp() - (SELECT passed_at FROM gate)) * 1000000)::integer AS microseconds
    FROM (SELECT count(*) FROM picked) AS the_whole_walk
),
owner AS MATERIALIZED (
    SELECT host || ':' || pid AS label, exchange_number < %(number)s AS fresh, ending = '' AND NOT paused AND lease_until > now AS lasts
    FROM (
        SELECT now FROM clock, walk WHERE %(settles)s OR EXISTS (SELECT FROM picked)
    ) AS needed
    JOIN jobs_process ON jobs_process.id = %(worker)s
    FOR NO KEY UPDATE OF jobs_process
),
