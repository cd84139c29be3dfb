// A BullMQ worker in one process: as many jobs at once as the first argument says. A job's lock is 30 s long, and the
// locks of the dead are looked for every 30 s, as it comes.
import { Worker } from "bullmq";
import { work } from "./notes.mjs";

const { hostname, port } = new URL(process.env.BENCH_STORE);
new Worker("bench", (job) => work(job.data.number, job.data.milliseconds), {
  connection: { host: hostname, port: Number(port) },
  concurrency: Number(process.argv[2]),
});
