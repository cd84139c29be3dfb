-- Note how many news of its jobs a process has dropped so far.
UPDATE jobs_process
SET news_dropped = %(dropped)s, news_dropped_at = clock_timestamp()
WHERE id = %(worker)s
