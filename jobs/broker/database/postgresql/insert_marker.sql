-- Mark that an atomic task's transaction is under way; no row in the answer where the job has a marker. Waits so long for
-- another transaction that inserts it, then raises lock_not_available. The task gets its own lock_timeout back: the last
-- SELECT reads `inserted` before it sets that.
WITH patience AS MATERIALIZED (
    SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', %(patience)s, true) AS now
),
inserted AS (
    INSERT INTO jobs_marker (job_id, run, queue, claimed_at)
    SELECT %(job)s::uuid, %(run)s, %(queue)s, (%(claimed_at)s || '+00')::timestamptz FROM patience
    ON CONFLICT (job_id) DO NOTHING
    RETURNING job_id
),
done AS MATERIALIZED (
    SELECT patience.before, inserted.job_id FROM patience LEFT JOIN inserted ON true
),
restored AS MATERIALIZED (
    SELECT job_id, set_config('lock_timeout', before, true) FROM done
)
SELECT job_id FROM restored WHERE job_id IS NOT NULL
