-- The workers of a queue that hold a lease: how many threads each has, how many jobs it holds, and whether it takes none.
SELECT
    process.concurrency,
    (SELECT count(*) FROM jobs_job WHERE worker_id = process.id AND state = 'active'),
    process.paused
FROM jobs_process AS process
WHERE process.kind = 'worker' AND process.queue = %(queue)s AND process.lease_until > %(now)s AND process.ending = ''
