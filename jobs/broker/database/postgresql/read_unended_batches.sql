-- Batches that have not ended though all their jobs have: what a kill has left, at most 100.
SELECT id
FROM jobs_batch AS batch
WHERE ended_at IS NULL
  AND NOT EXISTS (SELECT FROM jobs_member AS member WHERE member.batch_id = batch.id AND member.state = '')
ORDER BY id
LIMIT 100
