-- What one dead letter is grouped by; nothing of one that is none any more.
UPDATE jobs_job SET cause = :cause, release = :release
WHERE id = :id AND run = :run AND state = 'failed'
