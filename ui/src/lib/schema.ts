// Checks a value against a schema of the API's own document, so that mistakes show while they are typed. It knows the words that
// our documents use, and no more; what it does not know it lets pass, and the server has the last word.

export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  required?: string[];
  enum?: unknown[];
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
}

export type Schemas = Record<string, Schema>;

export interface Fault {
  /** Names and indices from the root: `healthChecks/0/protocol`. */
  path: string;
  words: string;
}

const typeOf = (value: unknown) => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value;
};

const named: Record<string, string> = {
  null: "null",
  array: "a list",
  object: "an object",
  string: "a text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
};

const fits = (value: unknown, type: string) => (type === "integer" ? Number.isInteger(value) : type === typeOf(value));

export function resolve(schema: Schema, all: Schemas): Schema {
  const name = schema.$ref?.split("/").at(-1);
  return (name && all[name]) || schema;
}

/** Everything that is wrong with `value`. */
export function faults(value: unknown, given: Schema, all: Schemas, path = ""): Fault[] {
  const schema = resolve(given, all);
  if (schema.anyOf) {
    // The alternative that has least to complain about knows best what was meant.
    const each = schema.anyOf.map((one) => faults(value, one, all, path));
    return each.reduce((least, one) => (one.length < least.length ? one : least));
  }
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((type) => fits(value, type))) {
    const wanted = types.filter((type) => type !== "null").map((type) => named[type] ?? type);
    return [{ path, words: `must be ${wanted.join(" or ")}` }];
  }
  if (schema.enum && !schema.enum.includes(value)) {
    return [{ path, words: `must be one of ${schema.enum.join(", ")}` }];
  }
  if (typeof value === "number") {
    if (schema.minimum !== undefined && value < schema.minimum) {
      return [{ path, words: `must be at least ${schema.minimum}` }];
    }
    if (schema.maximum !== undefined && value > schema.maximum) {
      return [{ path, words: `must be at most ${schema.maximum}` }];
    }
  }
  const below = (name: string | number) => (path ? `${path}/${name}` : String(name));
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.flatMap((item, index) => faults(item, items, all, below(index))) : [];
  }
  if (value !== null && typeof value === "object") return objectFaults(value, schema, all, below);
  return [];
}

function objectFaults(value: object, schema: Schema, all: Schemas, below: (name: string) => string): Fault[] {
  const found: Fault[] = [];
  const { properties, additionalProperties } = schema;
  for (const name of schema.required ?? []) {
    if (!(name in value)) found.push({ path: below(name), words: "is missing" });
  }
  for (const [name, field] of Object.entries(value)) {
    const known = properties?.[name];
    if (known) found.push(...faults(field, known, all, below(name)));
    else if (typeof additionalProperties === "object")
      found.push(...faults(field, additionalProperties, all, below(name)));
    else if (properties)
      found.push({ path: below(name), words: `is not known${meant(name, Object.keys(properties))}` });
  }
  return found;
}

/** The known name that is likely meant. */
function meant(name: string, known: string[]): string {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z]/g, "");
  const near = known.find((other) => plain(other) === plain(name)) ?? known.find((other) => away(name, other) <= 2);
  return near ? `; did you mean ${near}?` : "";
}

/** How many letters must change (Levenshtein). */
function away(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 3;
}

/** The server's path of a field, `/healthChecks(0)/protocol`, as ours. */
export const ownPath = (path: string) => path.replace(/\((\d+)\)/g, "/$1").replace(/^\/+/, "");

const codes: Record<string, string> = {
  "error.min": "is too small",
  "error.max": "is too large",
  "error.minLength": "is too short",
  "error.maxLength": "is too long",
  "error.path.missing": "is missing",
  "error.pattern": "has characters that are not allowed",
  "error.unknown.enum.literal": "is not one of the known words",
  "error.expected.jsnumber": "must be a number",
  "error.expected.jsstring": "must be a text",
  "error.expected.jsboolean": "must be true or false",
  "error.expected.jsarray": "must be a list",
  "error.expected.jsobject": "must be an object",
};

/** The server's words about a field. Codes of Marathon's are said in words. */
export const serverWords = (words: string) => codes[words] ?? words;

/** Where a JSON text stops being JSON: the line, from 1, and why; null: it is JSON. */
export function jsonFault(text: string): { line: number; words: string } | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const words = wordsOf(error);
    const line = /line (\d+)/.exec(words)?.[1];
    const position = /position (\d+)/.exec(words)?.[1];
    const counted =
      position === undefined ? unexpectedAt(text) : text.slice(0, Number(position)).split("\n").length;
    return {
      line: line ? Number(line) : counted,
      words: words
        .replace(/ ?(\(line.*\)|in JSON at position.*)/, "")
        .replace(/^JSON\.parse: /, "")
        // What stands around it is seen in the text itself.
        .replace(/^Unexpected token (.+?)(, (\.\.\.)?".*is not valid JSON)?$/s, "$1 is not expected here"),
    };
  }
}

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** The line where what cannot stand there begins: engines that show a piece of the text do not say where it is. */
function unexpectedAt(text: string): number {
  const isTold = (length: number) => {
    try {
      JSON.parse(text.slice(0, length));
      return false;
    } catch (error) {
      return wordsOf(error).startsWith("Unexpected token");
    }
  };
  // It is told of every piece that has it, and of none that ends before it.
  let [without, with_] = [0, text.trimEnd().length];
  if (!isTold(with_)) return text.trimEnd().split("\n").length;
  while (with_ - without > 1) {
    const middle = Math.floor((without + with_) / 2);
    if (isTold(middle)) with_ = middle;
    else without = middle;
  }
  return text.slice(0, with_).split("\n").length;
}
