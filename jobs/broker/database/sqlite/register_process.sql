-- Make a process known, or known anew, with a lease.
INSERT INTO jobs_process (id, kind, queue, host, pid, concurrency, started_at, renewed_at, lease_until, clock_offset)
VALUES (:id, :kind, :queue, :host, :pid, :concurrency, :now, :now, :lease_until, :clock_offset)
ON CONFLICT (id) DO UPDATE SET renewed_at = excluded.renewed_at, lease_until = excluded.lease_until,
    clock_offset = excluded.clock_offset
WHERE jobs_process.ending = ''
