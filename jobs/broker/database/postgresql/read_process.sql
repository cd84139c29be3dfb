-- A process, whether it may claim, and its last exchange.
SELECT host, pid, lease_until > clock_timestamp() AND ending = '' AND NOT paused AS may_claim, exchange_number, exchanged_at, reply, ending
FROM jobs_process
WHERE id = %(process)s
