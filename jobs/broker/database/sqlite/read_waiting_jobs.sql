-- The jobs that wait for one of these.
SELECT DISTINCT waiting_id
FROM jobs_edge
WHERE state = '' AND awaited_id IN (SELECT value FROM json_each(:ids))
