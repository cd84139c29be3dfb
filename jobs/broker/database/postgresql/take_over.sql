-- A job that waits takes over what another call for its key says; its id and its counters stay.
UPDATE jobs_job
SET task = %(task)s, message = %(message)s, priority = %(priority)s,
    expires_at = coalesce(%(expires_at)s::timestamptz, clock_timestamp() + %(expires_in)s * interval '1 second'),
    ready_at = CASE %(mode)s::text
        WHEN 'debounce' THEN clock_timestamp() + %(seconds)s * interval '1 second'
        WHEN 'replace' THEN CASE
            WHEN %(ready_at)s::timestamptz IS NOT NULL THEN %(ready_at)s::timestamptz
            WHEN %(at)s::timestamptz IS NOT NULL THEN greatest(%(at)s::timestamptz, clock_timestamp())
            ELSE clock_timestamp() + %(delay)s * interval '1 second'
        END
        ELSE ready_at
    END,
    timed_at = CASE %(mode)s::text
        WHEN 'debounce' THEN clock_timestamp()
        WHEN 'replace' THEN CASE WHEN %(at)s::timestamptz > clock_timestamp() THEN NULL ELSE clock_timestamp() END
        ELSE timed_at
    END,
    event = %(event)s, event_id = %(event_id)s, about_type = %(about_type)s, about_id = %(about_id)s,
    parent_id = %(parent_id)s, scope = %(scope)s, "group" = %(group)s, tags = %(tags)s, lane = %(lane)s
WHERE id = %(into)s AND (state = 'queued' OR (state = 'pending' AND rule = 'behind'))
RETURNING id
