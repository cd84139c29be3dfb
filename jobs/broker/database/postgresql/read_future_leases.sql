-- The processes whose lease was renewed at a moment that is yet to come: the server's clock was set back, or another
-- server took over. Locked, so that a renewal under way is waited for.
SELECT id, renewed_at, lease_until
FROM jobs_worker
WHERE renewed_at > clock_timestamp() + interval '1 second'
ORDER BY id
FOR UPDATE
