// What a file of tests begins and ends with: a browser, and a cluster that has the tests' services.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { open } from "./browser";
import { clear, fill, tasksOf, web } from "./cluster";

export interface Filled {
  browser: Browser;
  /** A running task of the web service. */
  task: Awaited<ReturnType<typeof tasksOf>>[number] | undefined;
}

/** Filled before the first test of the file and emptied after its last: what is in it is there in tests only. */
export function filled(): Filled {
  const all = {} as Filled;
  beforeAll(async () => {
    all.browser = await open();
    await fill();
    [all.task] = await tasksOf(web);
  });
  afterAll(async () => {
    await clear();
    await all.browser?.close();
  });
  return all;
}
