// pg-boss: `fill` its queue, or `work` until killed.

import { setTimeout as sleep } from "node:timers/promises";
import { CONCURRENCY, COUNT, deliver, deliveries, main, require, setting } from "./job.mjs";

const module = require("pg-boss");
const PgBoss = module.PgBoss ?? module; // named from version 11 on
const QUEUE = setting("QUEUE");
const BATCHES = 2; // at once
const SOME = 100; // tasks to put into the queue at once

async function start() {
    const boss = new PgBoss({ connectionString: setting("POSTGRESQL"), supervise: false, schedule: false });
    boss.on("error", (error) => console.error(error.message));
    await boss.start();
    return boss;
}

async function fill() {
    const boss = await start();
    await boss.createQueue(QUEUE);
    const tasks = deliveries();
    while (tasks.length) {
        await Promise.all(tasks.splice(0, SOME).map((task) => boss.send(QUEUE, task)));
    }
    await boss.stop({ graceful: false });
    process.exit();
}

async function work() {
    const boss = await start();
    const batchSize = Math.max(1, Math.min(200, Math.floor(COUNT / 8))); // leaves some for others
    await Promise.all(Array.from({ length: BATCHES }, () => batches(boss, batchSize)));
}

// Fetch a batch, send so many of its tasks at a time, and complete it, again and again. boss.work is slower.
// A failed request ends this process.
async function batches(boss, batchSize) {
    for (;;) {
        const jobs = await boss.fetch(QUEUE, { batchSize });
        const ids = jobs.map((job) => job.id);
        const send = async () => {
            for (let job; (job = jobs.pop()); ) await deliver(job.data);
        };
        await Promise.all(Array.from({ length: CONCURRENCY / BATCHES }, send));
        await (ids.length ? boss.complete(QUEUE, ids) : sleep(500));
    }
}

main({ fill, work });
