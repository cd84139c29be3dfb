-- The transactions of others that have written attempts, or may do so, and have not ended.
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'jobs_attempt'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND pid IS DISTINCT FROM pg_backend_pid()
