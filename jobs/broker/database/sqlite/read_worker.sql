-- A process, and whether its lease lasts.
SELECT host, pid, lease_until > :now AS may_claim
FROM jobs_worker
WHERE id = :worker
