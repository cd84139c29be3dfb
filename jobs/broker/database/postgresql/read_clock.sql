-- The server's time as it is now; now() would be the beginning of the transaction.
SELECT clock_timestamp()
