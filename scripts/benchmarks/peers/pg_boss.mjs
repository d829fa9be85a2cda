// pg-boss: `fill` its queue, or `work` until killed.

import { COUNT, deliver, deliveries, main, require, setting } from "./job.mjs";

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
    const batchSize = Math.max(1, Math.min(250, Math.floor(COUNT / 8))); // leaves some for others
    for (let number = 0; number < BATCHES; number++) {
        let id;
        const handle = async (jobs) => {
            boss.notifyWorker(id); // fetch the next batch at once
            await Promise.all(jobs.map((job) => deliver(job.data)));
        };
        id = await boss.work(QUEUE, { batchSize, pollingIntervalSeconds: 0.5 }, handle);
    }
}

main({ fill, work });
