-- How many due rows of a group are on their way to the broker; stops at a number.
SELECT count(*) FROM (
    SELECT 1 FROM jobs_job
    WHERE state = 'pending' AND queue = %(queue)s AND "group" = %(group)s AND ready_at <= clock_timestamp()
    LIMIT %(most)s
) AS waiting
