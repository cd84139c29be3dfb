-- For what these jobs have waited.
DELETE FROM jobs_edge
WHERE waiting_id = ANY(%(ids)s::uuid[])
