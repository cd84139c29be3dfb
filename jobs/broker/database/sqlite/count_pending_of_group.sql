-- How many due rows of a group are on their way to the broker; stops at a number.
SELECT count(*) FROM (
    SELECT 1 FROM jobs_job INDEXED BY jobs_pending
    WHERE state = 'pending' AND queue = :queue AND "group" = :group AND ready_at <= :now
    LIMIT :most
) AS waiting
