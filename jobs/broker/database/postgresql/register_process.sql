-- Make a process known, or known anew, with a lease.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
INSERT INTO jobs_process (id, kind, queue, host, pid, concurrency, started_at, renewed_at, lease_until, clock_offset)
SELECT %(id)s, %(kind)s, %(queue)s, %(host)s, %(pid)s, %(concurrency)s, now, now, now + %(lease)s * interval '1 second',
    %(clock_offset)s
FROM clock
ON CONFLICT (id) DO UPDATE SET renewed_at = excluded.renewed_at, lease_until = excluded.lease_until,
    clock_offset = excluded.clock_offset
WHERE jobs_process.ending = ''
