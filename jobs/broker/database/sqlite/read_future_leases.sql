-- The processes whose lease was renewed at a moment that is yet to come: the clock was set back.
SELECT id, renewed_at, lease_until
FROM jobs_process
WHERE renewed_at > :now
