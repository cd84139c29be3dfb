-- Of a look that comes before a claim: the moment, and the queue's row.
WITH RECURSIVE clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
hold AS MATERIALIZED (
    SELECT coalesce((SELECT returns FROM jobs_queuestate WHERE queue = %(queue)s), 0) AS returns
),
