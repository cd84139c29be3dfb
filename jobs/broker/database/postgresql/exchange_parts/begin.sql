-- The moment, the queue's row and whether a claim is possible at all.
WITH RECURSIVE clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
hold AS MATERIALIZED (
    SELECT coalesce(bool_or(paused OR elsewhere), false) AS paused, max(wait_until) AS wait_until,
           coalesce(max(returns), 0) AS returns,
           -- then turns.py picks, which knows what they hold back
           coalesce(max(paused_tags), '') <> '' AS has_paused_tags,
           -- then a claim needs the lock of the queue's row; 0 was set where no limit is to hold
           %(unless_limited)s AND (
               coalesce(max(rate_limit) > 0, %(is_paced)s) OR coalesce(max(global_concurrency) > 0, %(is_bounded)s)
           ) AS limited
    FROM jobs_queuestate WHERE queue = %(queue)s
),
worker AS MATERIALIZED (
    SELECT exchange_number < %(number)s AS fresh, ending = '' AND NOT paused AND lease_until > now AS lasts
    FROM jobs_process, clock
    WHERE id = %(worker)s
),
gate AS MATERIALIZED (
    SELECT %(wanted)s > 0 AND coalesce((SELECT fresh AND lasts FROM worker), false)
        AND NOT paused AND NOT limited AND coalesce(wait_until <= now, true) AS open, clock_timestamp() AS passed_at
    FROM hold, clock
),
