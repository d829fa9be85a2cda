// A receiver on 127.0.0.1 that leaves the verifying to a package: it answers 204, or 401 when the package says no.
// As middleware, Octokit answers itself: 200 or 400. Then each event that it hands on is printed.
// node receiver.mjs github|standard|middleware SECRET prints its port.
import { createServer } from "node:http";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";
import { verify } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";

const [kind, secret] = process.argv.slice(2);
const isGood = {
  github: (body, headers) => verify(secret, body, headers["x-hub-signature-256"]),
  standard: (body, headers) => Boolean(new Webhook(secret).verify(body, headers)),
}[kind];

function middleware() {
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const webhooks = new Webhooks({ secret, log: silent });
  webhooks.onAny(({ id, name, payload }) => console.log(`event ${id} ${name} ${payload.data.comment.message.length}`));
  return createNodeMiddleware(webhooks, { path: "/", log: silent });
}

async function verifying(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  let good = false;
  try {
    good = await isGood(body, request.headers);
  } catch (error) {
    console.error(error.message);
  }
  response.writeHead(good ? 204 : 401).end();
}

const server = createServer(kind === "middleware" ? middleware() : verifying);
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
