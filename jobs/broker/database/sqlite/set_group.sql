-- What holds for a group from now on; what it is told to wait for stays, unless that ends.
INSERT INTO jobs_groupstate (queue, name, paused, paused_at, concurrency, rate_limit, rate_per)
VALUES (:queue, :name, :paused, CASE WHEN :paused THEN :now END, :concurrency, :rate_limit, :rate_per)
ON CONFLICT (queue, name) DO UPDATE SET
    paused_at = CASE WHEN excluded.paused THEN coalesce(jobs_groupstate.paused_at, excluded.paused_at) END,
    paused = excluded.paused, concurrency = excluded.concurrency,
    rate_limit = excluded.rate_limit, rate_per = excluded.rate_per,
    wait_until = CASE WHEN NOT :ends_wait THEN jobs_groupstate.wait_until END,
    wait_from = CASE WHEN NOT :ends_wait THEN jobs_groupstate.wait_from END
