// Calls of the public API, checked against its documents: a path, a method, a parameter or a body that is not there is an error of
// types. The types are made by `npm run generate`.

import { ownPath, serverWords, type Fault } from "../lib/schema";
import type { Paths as HansaPaths } from "./schema";
import type { Paths as MarathonPaths } from "./schema-marathon";

type Paths = HansaPaths & MarathonPaths;
type Method = "get" | "post" | "put" | "delete";

interface Operation {
  path: unknown;
  query: unknown;
  body: unknown;
  answer: unknown;
}

/** The paths that have this method. */
type Having<M extends Method> = {
  [P in keyof Paths]: Paths[P] extends Record<M, Operation> ? P : never;
}[keyof Paths];

type At<M extends Method, P extends keyof Paths> = Paths[P] extends Record<M, infer O extends Operation> ? O : never;

/** Null and an empty text say nothing, so they are left out. */
type Optional<Q> = [Q] extends [undefined] ? object : { [name in keyof Q]?: Q[name] | null };

/** `fields`: every answer takes it, says the document where it describes it. */
type Wanted<O extends Operation> = ([O["path"]] extends [undefined] ? { path?: never } : { path: O["path"] }) & {
  query?: Optional<O["query"]> & { fields?: string };
} & ([O["body"]] extends [undefined] ? { body?: never } : { body: O["body"] });

type Asked<O extends Operation> = object extends Wanted<O> ? [wanted?: Wanted<O>] : [wanted: Wanted<O>];

/** Parameters that are ids of the tree: their slashes stay. */
const trees = new Set(["app", "group", "path"]);

type Values = Record<string, string | number | boolean | null | undefined>;

/** A query's text, with its question mark if there is any. */
function queryOf(values: Values): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text && `?${text}`;
}

function filled(path: string, values: Values): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(values[name]);
    return trees.has(name) ? value.replace(/^\//, "").split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
  });
}

/** Where a call goes, for what is not asked by `call`: files, streams and terminals. */
export function address<P extends Having<"get">>(path: P, ...[wanted]: Asked<At<"get", P>>): string {
  return filled(path, (wanted?.path ?? {}) as Values) + queryOf((wanted?.query ?? {}) as Values);
}

/** A refusal, in the words of whichever surface gave it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** What to do about it. */
    readonly remedy: string | null = null,
    /** What is wrong field by field. */
    readonly faults: readonly Fault[] = [],
    /** Deployments that stand in the way; with force they do not. */
    readonly deployments: readonly string[] = [],
  ) {
    super(message);
  }

  /** Whether the same again with `force` would go through. */
  get locked() {
    return this.status === 409 && this.deployments.length > 0;
  }
}

export const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

interface Problem {
  error?: { message: string; field?: string; remedy?: string };
  message?: string;
  details?: { path: string; errors: string[] }[] | string;
  deployments?: { id: string }[];
}

export async function refusal(response: Response, path: string): Promise<ApiError> {
  const body = (await response.json().catch(() => null)) as Problem | null;
  const { error } = body ?? {};
  if (error) {
    const faults = error.field ? [{ path: ownPath(error.field.replaceAll(".", "/")), words: error.message }] : [];
    return new ApiError(response.status, error.message, error.remedy ?? null, faults);
  }
  const details = Array.isArray(body?.details) ? body.details : [];
  const faults = details.flatMap(({ path, errors }) =>
    errors.map((words) => ({ path: ownPath(path), words: serverWords(words) })),
  );
  const deployments = (body?.deployments ?? []).map(({ id }) => id);
  const general = body?.message ?? `${path}: the master answers ${response.status}`;
  const locked = response.status === 409 && deployments.length > 0;
  const message = locked ? "A deployment under way holds the service." : general;
  return new ApiError(response.status, message, null, faults, deployments);
}

export async function call<M extends Method, P extends Having<M>>(
  method: M,
  path: P,
  ...[wanted]: Asked<At<M, P>>
): Promise<At<M, P>["answer"]> {
  const where = filled(path, (wanted?.path ?? {}) as Values) + queryOf((wanted?.query ?? {}) as Values);
  const body = wanted?.body as unknown;
  let response: Response;
  try {
    response = await fetch(where, {
      method: method.toUpperCase(),
      headers: { Accept: "application/json", ...(body !== undefined && { "Content-Type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, "The master does not answer.", "see whether it runs, and whether this machine reaches it");
  }
  if (!response.ok) throw await refusal(response, where);
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as At<M, P>["answer"];
}

export const get = <P extends Having<"get">>(path: P, ...wanted: Asked<At<"get", P>>) => call("get", path, ...wanted);
