-- Let nobody else give a key of this queue to a job until the end of this transaction.
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, hashtextextended(%(queue)s, 0)))
