-- Whether another broker keeps the queue, and which one was left.
SELECT elsewhere, left_store FROM jobs_queuestate WHERE queue = %(queue)s
