// Writes the types of the API's documents, `npm run generate`; with `--check` it only says whether the files here are what the
// documents give. It knows the words of JSON Schema that our documents use, and refuses any other rather than guess.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const files = [
  ["../../docs/openapi.json", "../src/api/schema.d.ts"],
  ["../../docs/openapi-marathon.json", "../src/api/schema-marathon.d.ts"],
];

/** Words that say nothing about the type. */
const silent = new Set(["description", "minimum", "maximum", "minLength", "maxLength", "default", "format", "pattern", "example", "minItems", "maxItems", "contentMediaType", "contentSchema"]);
const spoken = new Set(["$ref", "type", "properties", "required", "additionalProperties", "items", "prefixItems", "enum", "const", "anyOf", "oneOf"]);

const plain = { string: "string", integer: "number", number: "number", boolean: "boolean", null: "null" };

const nameOf = (ref) => ref.replace("#/components/schemas/", "");
const quoted = JSON.stringify;
const key = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name));
const described = (text, indent) => (text ? `${indent}/** ${text.replaceAll("*/", "* /")} */\n` : "");

function members(schema, indent) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties).map(
    ([name, value]) =>
      `${described(value.description, indent)}${indent}${key(name)}${required.has(name) ? "" : "?"}: ${typeOf(value, indent)};\n`,
  );
}

function objectOf(schema, indent) {
  if (schema.properties) return `{\n${members(schema, `${indent}  `).join("")}${indent}}`;
  const rest = schema.additionalProperties;
  return `Record<string, ${rest && rest !== true ? typeOf(rest, indent) : "unknown"}>`;
}

function typeOf(schema, indent) {
  const unknown = Object.keys(schema).filter((word) => !silent.has(word) && !spoken.has(word));
  if (unknown.length > 0) throw new Error(`the document says '${unknown}', which scripts/generate.mjs does not know`);
  if (schema.$ref) return `Schemas[${quoted(nameOf(schema.$ref))}]`;
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) return alternatives.map((one) => typeOf(one, indent)).join(" | ");
  if (schema.enum) return schema.enum.map(quoted).join(" | ");
  if ("const" in schema) return quoted(schema.const);
  if (schema.type === undefined) return "unknown";
  const each = [schema.type].flat().map((type) => {
    if (type === "object") return objectOf(schema, indent);
    if (type !== "array") return plain[type];
    if (schema.prefixItems) return `[${schema.prefixItems.map((item) => typeOf(item, indent)).join(", ")}]`;
    const item = schema.items ? typeOf(schema.items, indent) : "unknown";
    return / \| /.test(item) ? `(${item})[]` : `${item}[]`;
  });
  return each.join(" | ");
}

/** The type of parameters that stand in the path or in the query. */
function parametersOf(operation, place, indent) {
  const some = (operation.parameters ?? []).filter((parameter) => parameter.in === place);
  if (some.length === 0) return "undefined";
  const required = some.filter((parameter) => parameter.required).map(({ name }) => name);
  const properties = Object.fromEntries(
    some.map(({ name, schema, description }) => [name, { ...schema, description }]),
  );
  return objectOf({ properties, required }, indent);
}

const contentOf = (message, indent) => {
  const [content] = Object.values(message?.content ?? {});
  return content?.schema ? typeOf(content.schema, indent) : null;
};

function operationOf(operation, indent) {
  const inner = `${indent}  `;
  const answers = Object.entries(operation.responses)
    .filter(([status]) => status.startsWith("2"))
    .map(([, message]) => contentOf(message, inner) ?? "null");
  const lines = {
    path: parametersOf(operation, "path", inner),
    query: parametersOf(operation, "query", inner),
    body: contentOf(operation.requestBody, inner) ?? "undefined",
    answer: [...new Set(answers)].join(" | ") || "null",
  };
  const text = Object.entries(lines).map(([name, type]) => `${inner}${name}: ${type};\n`);
  return `{\n${text.join("")}${indent}}`;
}

function written(path) {
  const { components, paths } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) => `${described(schema.description, "  ")}  ${key(name)}: ${typeOf(schema, "  ")};\n`,
  );
  const calls = Object.entries(paths).map(([path, methods]) => {
    const each = Object.entries(methods).map(
      ([method, operation]) => `${described(operation.summary, "    ")}    ${method}: ${operationOf(operation, "    ")};\n`,
    );
    return `  ${quoted(path)}: {\n${each.join("")}  };\n`;
  });
  return `// Made of ${path.replace("../../", "")} by \`npm run generate\`; changes go there.

export interface Schemas {
${schemas.join("")}}

export interface Paths {
${calls.join("")}}
`;
}

const check = process.argv.includes("--check");
const stale = [];
for (const [from, to] of files) {
  const target = fileURLToPath(new URL(to, import.meta.url));
  const text = written(from);
  if (!check) writeFileSync(target, text);
  else if (readFileSync(target, "utf8") !== text) stale.push(to.replace("../", "ui/"));
}
if (stale.length > 0) {
  console.error(`${stale.join(" and ")}: not what the API's document gives; run \`npm run generate\``);
  process.exitCode = 1;
}
