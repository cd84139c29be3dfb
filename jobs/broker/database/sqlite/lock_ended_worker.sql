-- A process of these queues whose lease ended before a moment, or that is gone and has not given everything back yet.
SELECT id, host, pid, ending, renewed_at, lease_until
FROM jobs_worker
WHERE (lease_until < :before OR ending <> '')
  AND (queue = '' OR queue IN (SELECT value FROM json_each(:queues)))
  AND id NOT IN (SELECT value FROM json_each(:done))
ORDER BY id
LIMIT 1
