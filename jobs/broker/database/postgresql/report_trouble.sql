-- Note what keeps a process from working, and since when; an empty text: nothing any more.
UPDATE jobs_process
SET trouble = %(trouble)s,
    trouble_since = CASE WHEN %(trouble)s <> '' THEN coalesce(trouble_since, clock_timestamp()) END
WHERE id = %(worker)s
