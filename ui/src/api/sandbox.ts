// What is in a task's sandbox, and a terminal in its container.

import { address, ApiError, get, refusal } from "./call";
import type { Schemas } from "./schema";

export type Entry = Schemas["File"];
export type Files = Schemas["Files"];

/** `node`: where it ran, for a task that the master has forgotten. */
export const files = (task: string, path: string, after: string | null, node: string | null) =>
  get("/hansa/v1/tasks/{task}/files", { path: { task }, query: { path, after, node, limit: 1000 } });

interface Part {
  node: string | null;
  offset?: number;
  limit?: number;
  download?: boolean;
}

const contentPath = (task: string, path: string, part: Part) =>
  address("/hansa/v1/tasks/{task}/files/content", { path: { task }, query: { path, ...part } });

export const filePath = (task: string, path: string, node: string | null) =>
  contentPath(task, path, { node, download: true });

export interface Content {
  /** Null: it is no text. */
  text: string | null;
  /** Where in the file the text begins. */
  offset: number;
  /** Bytes of the part that was read, and of the whole file. */
  length: number;
  size: number;
}

/** A part of a file. */
export async function content(
  task: string,
  path: string,
  offset: number,
  limit: number,
  node: string | null,
): Promise<Content> {
  let response: Response;
  try {
    response = await fetch(contentPath(task, path, { node, offset, limit }));
  } catch {
    throw new ApiError(0, "The master does not answer.");
  }
  if (!response.ok) throw await refusal(response, "the file");
  const bytes = new Uint8Array(await response.arrayBuffer());
  const number = (header: string, otherwise: number) => Number(response.headers.get(header) ?? otherwise);
  const binary = response.headers.get("x-hansa-binary") === "true" || bytes.subarray(0, 8000).includes(0);
  return {
    text: binary ? null : new TextDecoder().decode(bytes),
    offset: number("x-hansa-offset", offset),
    length: bytes.length,
    size: number("x-hansa-size", offset + bytes.length),
  };
}

/** The address of a terminal; without a command it is a shell. */
export const terminalAddress = (task: string, command: string, columns: number, rows: number) =>
  window.location.origin.replace(/^http/, "ws") +
  address("/hansa/v1/tasks/{task}/terminal", { path: { task }, query: { command, columns, rows } });

/** The server's only text message, its last. */
export interface TerminalEnd {
  exit?: { code: number } | { signal: number };
  error?: { message: string; remedy?: string };
}
