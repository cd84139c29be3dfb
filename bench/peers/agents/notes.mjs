// The work of every job, as in notes.py.
import fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const file = fs.openSync(process.env.BENCH_NOTES, "a");
export const PAYLOAD = "x".repeat(80);

/** Seconds since 1970, to the microsecond. */
export function now() {
  return (performance.timeOrigin + performance.now()) / 1000;
}

export async function work(number, milliseconds) {
  if (milliseconds) await pause(milliseconds);
  fs.writeSync(file, `${String(number).padStart(8, "0")} ${now().toFixed(6).padStart(17, "0")}\n`);
}
