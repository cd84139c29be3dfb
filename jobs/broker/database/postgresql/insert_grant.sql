-- A grant of so many slots, made at this very moment.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
INSERT INTO jobs_grant (queue, subject, number, granted_at, start_by)
SELECT %(queue)s, %(subject)s, %(number)s, now, now + %(guard)s * interval '1 second'
FROM clock
RETURNING id
