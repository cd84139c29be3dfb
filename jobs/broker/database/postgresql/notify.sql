-- Wake those who listen for these queues of this table. Its commit has nothing to lose and does not wait for the disk.
SELECT set_config('synchronous_commit', 'off', true),
    pg_notify(left('jobs_' || 'jobs_job'::regclass::oid || '_' || queue, 63), '')
FROM unnest(%(queues)s::text[]) AS queue
