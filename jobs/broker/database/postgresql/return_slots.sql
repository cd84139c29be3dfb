-- Give slots of a grant back; nothing happens to one that is over.
UPDATE jobs_grant
SET number = number - %(number)s
WHERE id = %(grant)s AND queue = %(queue)s
RETURNING number
