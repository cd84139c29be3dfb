-- Whether the keeper has told another broker of all rows of the queue, and whether that keeps the queue at all.
SELECT life <> '', elsewhere FROM jobs_queuestate WHERE queue = :queue
