-- Where there is nothing to settle.
settled AS NOT MATERIALIZED (
    SELECT now, NULL::uuid AS id, '' AS state, '' AS act, now AS ready_at, now AS started_at,
        0.0::double precision AS delay, false AS whole_queue, false AS awaited, 0 AS ran_ms, 0 AS waited_ms
    FROM clock
    WHERE false
),
