-- The channel of one queue of this table: see notify.
SELECT left('jobs_' || 'jobs_job'::regclass::oid || '_' || %(queue)s, 63)
