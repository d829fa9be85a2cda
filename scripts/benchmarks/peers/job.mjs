// The task of each peer on Node: sign a delivery, send it with undici, record it with pg. Each task is recorded by group commit.


import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";

export const setting = (name) => process.env[`BENCH_${name}`];
export const require = createRequire(`${setting("NODE_MODULES")}/`); // import looks beside this file alone
const { Agent, request } = require("undici");
const { Client } = require("pg");

export const COUNT = Number(setting("COUNT"));
export const CONCURRENCY = Number(setting("CONCURRENCY"));
const CONNECTIONS = Number(setting("CONNECTIONS"));
const TIMEOUT = 15_000; // ms
const SECRET = setting("SECRET");
const KEY = Buffer.from(SECRET.slice("whsec_".length), "base64");
const TYPES = ["text", "text", "text", "text", "int", "int", "text", "text", "text"];
const COLUMNS = "id, status, finished_at, started_at, milliseconds, status_code, sent, got, body";
const ARRAYS = TYPES.map((type, at) => `$${at + 1}::${type}[]`).join();
const RECORD = `
    WITH made AS (SELECT * FROM unnest(${ARRAYS}) AS made (${COLUMNS})),
    done AS (UPDATE deliveries SET status = made.status, attempts = 1, finished_at = made.finished_at,
        last_status_code = made.status_code FROM made WHERE deliveries.id = made.id)
    INSERT INTO attempts
    SELECT id, 1, 'schedule', started_at, milliseconds, status_code, NULL, sent, got, body FROM made`;

const agent = new Agent({ connections: CONNECTIONS });
let begun, database;
let waiting = [];
let isWriting = false;

// Run one of the functions that the command line names.
export function main(functions) {
    const task = functions[process.argv[2]] ?? (async () => {}); // a database of its own needs no `clean`
    task().catch((error) => {
        console.error(String(error.stack).replaceAll("\n", " "));
        process.exit(1);
    });
}

// Return the tasks' data.
export function deliveries() {
    const lines = readFileSync(`${setting("FOLDER")}/deliveries`, "utf8").split("\n");
    return lines.map((line) => line.split(" ")).map(([id, url]) => ({ id, url, body: setting("BODY") }));
}

// Send one and record it; the first ones wait until the bench lets this process begin.
export async function deliver({ id, url, body }) {
    await (begun ??= begin());
    const timestamp = String(Math.floor(Date.now() / 1000));
    const headers = {
        "Content-Type": "application/json",
        "User-Agent": "bench",
        "X-Guestbook-Event": "comment.created",
        "X-Guestbook-Attempt": "1",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
    };
    const signed = {
        ...headers,
        "webhook-signature": `v1,${hmac(KEY, `${id}.${timestamp}.${body}`).digest("base64")}`,
        "X-Hub-Signature-256": `sha256=${hmac(SECRET, body).digest("hex")}`,
    };
    const [at, start] = [new Date().toISOString(), performance.now()];
    const options = { method: "POST", dispatcher: agent, headersTimeout: TIMEOUT, bodyTimeout: TIMEOUT };
    const answer = await request(url, { ...options, headers: signed, body });
    const got = await answer.body.text();
    const status = answer.statusCode < 400 ? "processed" : "failed";
    const took = Math.round(performance.now() - start);
    const [sent, received] = [headers, answer.headers].map((some) => JSON.stringify(some));
    await record([id, status, new Date().toISOString(), at, took, answer.statusCode, sent, received, got]);
}

const hmac = (key, text) => createHmac("sha256", key).update(text);

// Report that this process is ready and wait at the start line, as sender_main.py does: Node has no flock.
async function begin() {
    database = new Client({ connectionString: setting("POSTGRESQL") });
    await database.connect();
    writeFileSync(`${setting("FOLDER")}/ready ${process.pid}`, "");
    await promisify(execFile)("flock", ["--shared", `${setting("FOLDER")}/lock`, "true"]);
}

// Resolves once the row is durable. All rows that wait are written together; one transaction each is slower.
function record(row) {
    return new Promise((resolve, reject) => {
        waiting.push({ row, resolve, reject });
        if (!isWriting) write();
    });
}

async function write() {
    isWriting = true;
    while (waiting.length) {
        const some = waiting;
        waiting = [];
        const values = TYPES.map((_, at) => some.map(({ row }) => row[at]));
        await database.query({ name: "record", text: RECORD, values }).then(
            () => some.forEach(({ resolve }) => resolve()),
            (error) => some.forEach(({ reject }) => reject(error)),
        );
    }
    isWriting = false;
}
