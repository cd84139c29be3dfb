-- Note how many news of its jobs a process has dropped so far.
UPDATE jobs_process
SET news_dropped = :dropped, news_dropped_at = :now
WHERE id = :worker
