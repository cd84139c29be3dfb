-- The processes whose lease ended before a moment.
SELECT id, host, pid, renewed_at, lease_until
FROM jobs_worker
WHERE lease_until < :before
