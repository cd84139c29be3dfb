-- Let a grant stand at another moment.
UPDATE jobs_grant
SET granted_at = %(granted_at)s::timestamp AT TIME ZONE 'UTC', start_by = %(start_by)s::timestamp AT TIME ZONE 'UTC'
WHERE id = %(grant)s
