// An app's definition as the form sees it. The definition itself is the truth: the form changes fields of it and leaves alone
// what it does not know.

import type { App } from "../api/types";
import { bytes, counted, cpuWords } from "./format";

/** What the server adds when it shows an app; no part of its definition. */
const shownOnly = new Set([
  "tasks",
  "deployments",
  "tasksHealthy",
  "tasksRunning",
  "tasksStaged",
  "tasksUnhealthy",
  "version",
  "versionInfo",
  "lastTaskFailure",
  "taskStats",
  "readinessCheckResults",
  "uris",
]);

/** Only what defines it. `uris` is an old spelling of `fetch`. */
export function definitionOf(app: App): App {
  return Object.fromEntries(Object.entries(app).filter(([name]) => !shownOnly.has(name)));
}

/** What a new service begins as. */
export const fresh = (id: string): App => ({
  id,
  cmd: "",
  cpus: 0.1,
  mem: 64,
  instances: 1,
});

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const at = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined);

/** Sets a field, or takes it out if it says nothing. */
export function put(app: App, name: string, value: unknown): App {
  const next = { ...app };
  if (value === undefined || value === null || value === "") delete next[name];
  else next[name] = value;
  return next;
}

export const imageOf = (app: App): string => String(at(at(app.container, "docker"), "image") ?? "");

/** With an image it gets a container of the plain kind, unless it has one; without, none that is only for the image. */
export function putImage(app: App, image: string): App {
  const container = app.container ?? {};
  if (image) {
    const docker = { ...(isObject(container.docker) ? container.docker : {}), image };
    return { ...app, container: { type: "MESOS", ...container, docker } };
  }
  const { docker: _, type, ...rest } = container;
  return put(app, "container", Object.keys(rest).length ? { ...(type !== undefined && { type }), ...rest } : undefined);
}

/** The words of a text as a shell's user would write them; quotes hold blanks. */
export const argsText = (args: readonly string[]) =>
  args.map((word) => (/^[^\s"'\\]+$/.test(word) ? word : `"${word.replace(/(["\\])/g, "\\$1")}"`)).join(" ");

/** The first health check, as far as the form knows it. */
export interface Check {
  protocol: "none" | "HTTP" | "TCP" | "COMMAND";
  /** A path for HTTP, a command line for COMMAND. */
  target: string;
}

const checks = (app: App) => (Array.isArray(app.healthChecks) ? (app.healthChecks as unknown[]) : []);

export function checkOf(app: App): Check | null {
  const first = checks(app)[0];
  if (first === undefined) return { protocol: "none", target: "" };
  const protocol = String(at(first, "protocol") ?? "HTTP").replace("MESOS_", "");
  if (protocol !== "HTTP" && protocol !== "TCP" && protocol !== "COMMAND") return null;
  const target =
    protocol === "HTTP" ? at(first, "path") : protocol === "COMMAND" ? at(at(first, "command"), "value") : "";
  return { protocol, target: String(target ?? "") };
}

export function putCheck(app: App, check: Check): App {
  const [first, ...rest] = checks(app);
  if (check.protocol === "none") return put(app, "healthChecks", rest.length ? rest : undefined);
  const {
    path: _path,
    command: _command,
    protocol,
    ...kept
  } = isObject(first) ? first : { portIndex: 0, protocol: "" };
  const same = String(protocol).replace("MESOS_", "") === check.protocol;
  const next: Record<string, unknown> = { ...kept, protocol: same ? protocol : check.protocol };
  if (check.protocol === "HTTP") next.path = check.target || "/";
  if (check.protocol === "COMMAND") {
    next.command = { value: check.target };
    delete next.portIndex;
    delete next.port;
  }
  return { ...app, healthChecks: [next, ...rest] };
}

/** A number as it is typed; what is none stays a text, so that the check tells. */
export const numberOf = (text: string): number | string | undefined => {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : trimmed;
};

/** Pairs of a map in their order, for editing; a value that is no text (a secret) is shown as JSON. */
export const pairsOf = (map: unknown): [string, string][] =>
  isObject(map)
    ? Object.entries(map).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)])
    : [];

export function mapOf(pairs: readonly (readonly [string, string])[]): Record<string, unknown> | undefined {
  const map: Record<string, unknown> = {};
  for (const [name, text] of pairs) if (name) map[name] = valueOf(text);
  return Object.keys(map).length ? map : undefined;
}

function valueOf(text: string): unknown {
  if (!text.startsWith('{"secret"')) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What must hold beyond the schema, in the form's words. */
export function missing(app: App): { path: string; words: string }[] {
  const found: { path: string; words: string }[] = [];
  const id = app.id ?? "";
  if (!id || id === "/") found.push({ path: "id", words: "a name is needed, such as /shop/web" });
  else if (
    !/^\/?([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)(\/[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)*$/.test(
      id,
    )
  ) {
    found.push({ path: "id", words: "lower-case letters, digits, dots and dashes, parts divided by slashes" });
  }
  if (!app.cmd && !app.args?.length && !app.container)
    found.push({ path: "cmd", words: "a command or an image is needed" });
  return found;
}

/** What the server takes for granted where a definition says nothing. */
const assumed = { instances: 1, cpus: 1, mem: 128, disk: 0, gpus: 0 } as const;

/** What a definition asks for, in words: `2 instances of 0.5 cpus, 128 MiB`. */
export function asks(app: App): string {
  const of = (name: keyof typeof assumed) => Number(app[name] ?? assumed[name]);
  const mebibytes = (name: "mem" | "disk") => bytes(of(name) * 2 ** 20);
  const each = [
    cpuWords(of("cpus") * 1000),
    mebibytes("mem"),
    of("disk") > 0 && `${mebibytes("disk")} of disk`,
    of("gpus") > 0 && counted(of("gpus"), "GPU"),
  ];
  return `${counted(of("instances"), "instance")} of ${each.filter(Boolean).join(", ")}`;
}
