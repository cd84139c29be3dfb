-- The jobs that turns.py has picked, as far as nobody holds them locked, or has put them off or moved them meanwhile.
laned AS NOT MATERIALIZED (SELECT false AS found),
picked AS MATERIALIZED (
    SELECT id, expires_at <= (SELECT now FROM clock) AS late FROM jobs_job
    WHERE id = ANY (%(ids)s::uuid[]) AND CASE
          WHEN state = 'queued' AND queue = %(queue)s AND ready_at <= (SELECT now FROM clock) THEN (SELECT open FROM gate)
          ELSE false
      END
    ORDER BY id
    FOR UPDATE SKIP LOCKED
),
to_come AS NOT MATERIALIZED (SELECT NULL::timestamptz AS ready_at),
