-- Where there is nothing to settle.
settled AS NOT MATERIALIZED (
    SELECT now, NULL::uuid AS id, ''::varchar AS task, '' AS state, '' AS act, '' AS outcome, now AS ready_at, now AS started_at,
        0.0::double precision AS delay, false AS whole_queue, false AS awaited, (-1)::smallint AS ran,
        (-1)::smallint AS waited, 0 AS ran_ms, 0 AS waited_ms
    FROM clock
    WHERE false
),
