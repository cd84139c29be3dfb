-- Adds to the counters of a task and outcome for one hour.
INSERT INTO jobs_taskstat
    (queue, task, outcome, ran, waited, hour, part, jobs, ran_ms, waited_ms)
VALUES
    (:queue, :task, :outcome, :ran, :waited, :hour, :part, :jobs, :ran_ms, :waited_ms)
ON CONFLICT (queue, task, outcome, ran, waited, hour, part) DO UPDATE SET
    jobs = jobs + excluded.jobs,
    ran_ms = ran_ms + excluded.ran_ms,
    waited_ms = waited_ms + excluded.waited_ms
