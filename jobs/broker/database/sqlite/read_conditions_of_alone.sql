-- How the indexes that count live jobs spell `alone`: Django 5.2 writes the word, 6.1 compares it with a number.
SELECT substr(sql, instr(sql, 'WHERE'), instr(sql, '"alone"') + 10 - instr(sql, 'WHERE'))
FROM sqlite_master
WHERE name IN ('jobs_ready', 'jobs_ready_laned', 'jobs_ready_alone')
