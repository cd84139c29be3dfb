-- A grant of so many slots.
INSERT INTO jobs_grant (queue, subject, number, granted_at, start_by)
VALUES (:queue, :subject, :number, :granted_at, :start_by)
RETURNING id
