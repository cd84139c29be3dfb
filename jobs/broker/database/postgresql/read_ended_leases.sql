-- The processes whose lease ended before a moment. While the server was away nobody could renew: when it has started,
-- every lease gets one more term (unless its clock was set back since, to before that start).
SELECT id, host, pid, renewed_at, lease_until
FROM jobs_worker
WHERE lease_until < %(before)s::timestamp AT TIME ZONE 'UTC'
  AND (
      pg_postmaster_start_time() + (lease_until - renewed_at) < %(before)s::timestamp AT TIME ZONE 'UTC'
      OR pg_postmaster_start_time() > clock_timestamp()
  )
ORDER BY id
