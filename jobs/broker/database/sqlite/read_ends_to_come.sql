-- For each of these queues and states in which jobs ended at a moment that is yet to come: the last such moment.
SELECT queue.value, state.value, (
    SELECT ended_at
    FROM jobs_job INDEXED BY jobs_ended
    WHERE jobs_job.queue = queue.value AND jobs_job.state = state.value AND ended_at > :after
    ORDER BY ended_at DESC
    LIMIT 1
) AS last
FROM json_each(:queues) AS queue, json_each(:states) AS state
WHERE last IS NOT NULL
