-- Let nobody else start a job under this limit, on any queue, until the end of this transaction.
SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, hashtextextended('limit', 0)))
