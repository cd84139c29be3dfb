-- The grants made at a moment that is yet to come: the clock was set back.
SELECT id, granted_at, start_by
FROM jobs_grant
WHERE queue = %(queue)s AND start_by > clock_timestamp() AND granted_at > clock_timestamp()
