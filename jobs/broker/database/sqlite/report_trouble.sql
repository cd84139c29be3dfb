-- Note what keeps a process from working, and since when; an empty text: nothing any more.
UPDATE jobs_process
SET trouble = :trouble, trouble_since = CASE WHEN :trouble <> '' THEN coalesce(trouble_since, :now) END
WHERE id = :worker
