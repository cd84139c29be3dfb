-- Remove the grants of a group that are over.
DELETE FROM jobs_grant
WHERE queue = :queue AND subject = :subject AND start_by <= :before
