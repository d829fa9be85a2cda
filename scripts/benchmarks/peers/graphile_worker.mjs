// graphile-worker: `fill` its queue, or `work` until killed.

import { CONCURRENCY, COUNT, deliver, deliveries, main, require, setting } from "./job.mjs";

const { Logger, makeWorkerUtils, run } = require("graphile-worker");
const connectionString = setting("POSTGRESQL");
const logger = new Logger(() => () => {}); // it would print a line for each task

async function fill() {
    const utils = await makeWorkerUtils({ connectionString, logger });
    await utils.migrate();
    await utils.addJobs(deliveries().map((payload) => ({ identifier: "deliver", payload })));
    await utils.release();
}

async function work() {
    const batches = {
        localQueue: { size: Math.max(CONCURRENCY, Math.min(500, Math.floor(COUNT / 8))) }, // leaves some for others
        completeJobBatchDelay: 5, // ms
        failJobBatchDelay: 5,
    };
    const worker = { connectionString, logger, concurrentJobs: CONCURRENCY, ...batches };
    await run({ preset: { worker }, taskList: { deliver } });
}

main({ fill, work });
