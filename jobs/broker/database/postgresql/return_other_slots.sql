-- Give slots of a group's or a limit's grant back; nothing happens to one that is over.
UPDATE jobs_grant
SET number = number - %(number)s
WHERE id = %(grant)s
RETURNING number
