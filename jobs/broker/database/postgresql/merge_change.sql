-- What people, or another call for its key, have changed of jobs whose rows were there, beside their due time.
UPDATE jobs_job AS job
SET task = given.task, priority = given.priority, message = given.message, key = given.key, timed_at = given.timed_at,
    event = given.event, event_id = given.event_id, about_type = given.about_type, about_id = given.about_id,
    parent_id = given.parent_id, scope = given.scope, "group" = given."group", tags = given.tags, lane = given.lane
FROM json_to_recordset(%(rows)s::json) AS given (
    id uuid, task text, priority smallint, message text, key text, timed_at timestamptz, event text, event_id uuid,
    about_type text, about_id text, parent_id uuid, scope text, "group" text, tags text, lane text
)
WHERE job.id = given.id
