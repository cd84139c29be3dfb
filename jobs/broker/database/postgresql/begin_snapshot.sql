-- Let what is read from here on be of one moment.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
