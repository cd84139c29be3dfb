-- Of these batches those of which no job is to end any more, and that have not succeeded; whether they have ended.
SELECT id, ended_at IS NOT NULL
FROM jobs_batch AS batch
WHERE id = ANY(ARRAY(SELECT value::uuid FROM json_array_elements_text(%(ids)s::json))) AND NOT succeeded
  AND NOT EXISTS (SELECT FROM jobs_member AS member WHERE member.batch_id = batch.id AND member.state = '')
ORDER BY id
