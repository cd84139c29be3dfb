-- The processes whose lease was renewed at a moment that is yet to come: the server's clock was set back, or another
-- server took over. One that is being renewed is passed over.
SELECT id, renewed_at, lease_until
FROM jobs_process
WHERE renewed_at > clock_timestamp() + interval '1 second'
ORDER BY id
FOR UPDATE SKIP LOCKED
