-- A grant of so many slots.
INSERT INTO jobs_grant (queue, number, granted_at, start_by)
VALUES (:queue, :number, :granted_at, :start_by)
RETURNING id
