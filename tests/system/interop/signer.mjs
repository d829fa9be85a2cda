// Signs as a package of others does: {secret, id, seconds, body} on standard input, one header's value on standard output.
// node signer.mjs github|standard
import { readFileSync } from "node:fs";
import { sign } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";

const { secret, id, seconds, body } = JSON.parse(readFileSync(0, "utf8"));
const signed = {
  github: () => sign(secret, body),
  standard: () => new Webhook(secret).sign(id, new Date(seconds * 1000), body),
}[process.argv[2]];
console.log(await signed());
