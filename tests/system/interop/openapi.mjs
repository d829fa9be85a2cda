// What Redocly's linter and AJV say of the OpenAPI document whose file is named: a JSON list of sentences.
import { readFileSync } from "node:fs";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const text = readFileSync(process.argv[2], "utf8");
const config = await createConfig({ extends: ["recommended"] });
const told = await lintFromString({ source: text, config });
const said = told.map((one) => `${one.severity} ${one.ruleId}: ${one.message} ${one.location[0]?.pointer}`);

const document = JSON.parse(text);
const ajv = new Ajv2020({ strict: true, allErrors: true, logger: false });
addFormats.default(ajv);
ajv.addVocabulary(Object.keys(document)); // what OpenAPI has around the schemas
ajv.addSchema(document, "openapi");
const asked = Object.values(document.paths).flatMap((item) => [item, ...Object.values(item)])
  .flatMap((part) => part.parameters ?? []).map((parameter) => parameter.schema);
const named = Object.keys(document.components.schemas).map((name) => ({
  $ref: `openapi#/components/schemas/${name}`,
}));
for (const schema of [...asked, ...named]) {
  try {
    ajv.compile(schema);
  } catch (error) {
    said.push(`ajv ${JSON.stringify(schema)}: ${error.message}`);
  }
}
console.log(JSON.stringify({ schemas: asked.length + named.length, said }));
