-- Wake those who listen for this queue of this table. By itself: then its commit has nothing to wait for on the disk.
SELECT pg_notify(left('jobs_' || 'jobs_job'::regclass::oid || '_' || %(queue)s, 63), '')
