-- Note a queue and what is told of processes beside the queues. KEYS: the queues of the namespace, its processes.
-- ARGV: the queue, or nothing, then fields and their values. Works on a full server: its first write frees memory.
redis.call('HDEL', KEYS[2], '')
if ARGV[1] ~= '' then redis.call('SADD', KEYS[1], ARGV[1]) end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
