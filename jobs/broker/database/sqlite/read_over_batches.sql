-- Of these batches those of which no job is to end any more, and that have not succeeded; whether they have ended.
SELECT id, ended_at IS NOT NULL
FROM jobs_batch AS batch
WHERE id IN (SELECT value FROM json_each(:ids)) AND NOT succeeded
  AND NOT EXISTS (SELECT 1 FROM jobs_member AS member WHERE member.batch_id = batch.id AND member.state = '')
ORDER BY id
