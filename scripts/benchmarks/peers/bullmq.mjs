// BullMQ: `fill` its queue, `work` until killed, or `clean` up.

import { CONCURRENCY, deliver, deliveries, main, require, setting } from "./job.mjs";

const { Queue, Worker } = require("bullmq");
const QUEUE = setting("QUEUE");
const connection = { url: setting("REDIS"), maxRetriesPerRequest: null };

async function fill() {
    const queue = new Queue(QUEUE, { connection });
    const opts = { removeOnComplete: true };
    await queue.addBulk(deliveries().map((data) => ({ name: "deliver", data, opts })));
    await queue.close();
}

async function work() {
    const worker = new Worker(QUEUE, (job) => deliver(job.data), { connection, concurrency: CONCURRENCY });
    worker.on("error", (error) => console.error(error.message));
}

async function clean() {
    const queue = new Queue(QUEUE, { connection });
    await queue.obliterate({ force: true });
    await queue.close();
}

main({ fill, work, clean });
