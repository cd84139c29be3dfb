-- Wait for locks at most so long, until the end of this transaction or savepoint.
SELECT set_config('lock_timeout', %(seconds)s, true)
