// Enqueues what the lines of standard input ask for, as producing.py does, into BullMQ: three attempts, the last 1,000
// of those that ended are kept, as this project keeps them.
import readline from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { Queue } from "bullmq";
import { PAYLOAD, now } from "./notes.mjs";

const CHUNK = 1000;
const { hostname, port } = new URL(process.env.BENCH_STORE);
const queue = new Queue("bench", {
  connection: { host: hostname, port: Number(port) },
  defaultJobOptions: { attempts: 3, removeOnComplete: { count: 1000 }, removeOnFail: { count: 1000 } },
});
const data = (number, milliseconds) => ({ number, milliseconds, payload: PAYLOAD });

const commands = {
  async one({ first, count, seconds, milliseconds = 0 }) {
    const began = now();
    let done = 0;
    while (done < count && now() - began < seconds) {
      await queue.add("job", data(first + done, milliseconds));
      done += 1;
    }
    return { done, seconds: now() - began };
  },
  async bulk({ first, count, seconds, milliseconds = 0 }) {
    const began = now();
    let done = 0;
    while (done < count && now() - began < seconds) {
      const size = Math.min(CHUNK, count - done);
      const numbers = Array.from({ length: size }, (_, place) => first + done + place);
      await queue.addBulk(numbers.map((number) => ({ name: "job", data: data(number, milliseconds) })));
      done += size;
    }
    return { done, seconds: now() - began, bulk: true };
  },
  async apart({ first, count, pause: [least, most] }) {
    const times = [];
    for (let number = first; number < first + count; number += 1) {
      await queue.add("job", data(number, 0));
      times.push(now());
      await pause((least + Math.random() * (most - least)) * 1000);
    }
    return { times };
  },
  async later({ first, delays }) {
    const times = [];
    for (const [place, delay] of delays.entries()) {
      times.push(now() + delay);
      await queue.add("job", data(first + place, 0), { delay: Math.round(delay * 1000) });
    }
    return { times };
  },
  async left() {
    return { left: null };
  },
  async pause() {
    await queue.pause();
    return {};
  },
  async resume() {
    await queue.resume();
    return {};
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { do: what, ...asked } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await commands[what](asked))}\n`);
}
process.exit(0);
