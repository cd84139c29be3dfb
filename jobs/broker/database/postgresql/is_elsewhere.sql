-- Whether another broker keeps the queue.
SELECT 1 FROM jobs_queuestate WHERE queue = %(queue)s AND elsewhere
