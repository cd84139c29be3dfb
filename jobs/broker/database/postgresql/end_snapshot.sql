-- Go on as before.
COMMIT
