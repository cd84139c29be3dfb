-- What holds for a group from now on; what it is told to wait for stays, unless that ends.
INSERT INTO jobs_groupstate AS held (queue, name, paused, paused_at, concurrency, rate_limit, rate_per)
VALUES (
    %(queue)s, %(name)s, %(paused)s, CASE WHEN %(paused)s THEN clock_timestamp() END, %(concurrency)s,
    %(rate_limit)s, %(rate_per)s
)
ON CONFLICT (queue, name) DO UPDATE SET
    paused_at = CASE WHEN excluded.paused THEN coalesce(held.paused_at, excluded.paused_at) END,
    paused = excluded.paused, concurrency = excluded.concurrency,
    rate_limit = excluded.rate_limit, rate_per = excluded.rate_per,
    wait_until = CASE WHEN NOT %(ends_wait)s THEN held.wait_until END,
    wait_from = CASE WHEN NOT %(ends_wait)s THEN held.wait_from END
