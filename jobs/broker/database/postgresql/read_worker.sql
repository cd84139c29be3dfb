-- A process, and whether its lease lasts.
SELECT host, pid, lease_until > clock_timestamp() AS may_claim
FROM jobs_worker
WHERE id = %(worker)s
