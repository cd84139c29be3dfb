-- A process of these queues, or that holds nothing, whose lease ended before a moment (NULL: none), or that is gone and has not given everything back yet.
SELECT id, host, pid, ending
FROM jobs_process
WHERE (lease_until < :before OR ending <> '')
  AND (
    queue IN (SELECT value FROM json_each(:queues))
    OR NOT EXISTS (SELECT 1 FROM jobs_job WHERE state = 'active' AND worker_id = jobs_process.id)
  )
  AND id NOT IN (SELECT value FROM json_each(:done))
ORDER BY id
LIMIT 1
