-- Give slots of a grant back; nothing happens to one that is over.
UPDATE jobs_grant
SET number = number - :number
WHERE id = :grant AND queue = :queue
RETURNING number
