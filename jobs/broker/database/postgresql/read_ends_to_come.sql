-- For each of these queues and states in which jobs ended at a moment that is yet to come: the last such moment.
SELECT queue.value, state.value, last
FROM json_array_elements_text(%(queues)s::json) AS queue
CROSS JOIN json_array_elements_text(%(states)s::json) AS state
CROSS JOIN LATERAL (
    SELECT ended_at AS last
    FROM jobs_job
    WHERE jobs_job.queue = queue.value AND jobs_job.state = state.value
      AND ended_at > %(after)s::timestamp AT TIME ZONE 'UTC'
    ORDER BY ended_at DESC
    LIMIT 1
) AS to_come
