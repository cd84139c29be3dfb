-- A process of these queues, or that holds nothing, whose lease ended before a moment (NULL: none), or that is gone and has not given everything back yet.
-- Locked, so that it cannot renew its lease any more; one whose row somebody holds is passed over. While the server was
-- away nobody could renew: when it has started, every lease gets one more term (unless its clock was set back since, to
-- before that start).
SELECT id, host, pid, ending
FROM jobs_process
WHERE (
    ending <> ''
    OR (
        lease_until < %(before)s::timestamp AT TIME ZONE 'UTC'
        AND (
            pg_postmaster_start_time() + (lease_until - renewed_at) < %(before)s::timestamp AT TIME ZONE 'UTC'
            OR pg_postmaster_start_time() > clock_timestamp()
        )
    )
  )
  AND (
    queue IN (SELECT value FROM json_array_elements_text(%(queues)s::json))
    OR NOT EXISTS (SELECT 1 FROM jobs_job WHERE state = 'active' AND worker_id = jobs_process.id)
  )
  AND NOT id IN (SELECT value::uuid FROM json_array_elements_text(%(done)s::json))
ORDER BY id
LIMIT 1
FOR UPDATE SKIP LOCKED
