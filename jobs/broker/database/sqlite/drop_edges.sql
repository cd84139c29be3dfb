-- For what these jobs have waited.
DELETE FROM jobs_edge
WHERE waiting_id IN (SELECT value FROM json_each(:ids))
