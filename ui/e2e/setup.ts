// One Chromium for all files of tests: each connects to it.

import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";
import { executablePath, quiet } from "./chromium";

declare module "vitest" {
  export interface ProvidedContext {
    browser: string;
  }
}

export default async function setup({ provide }: Pick<TestProject, "provide">) {
  const server = await chromium.launchServer({
    executablePath,
    args: quiet,
    host: "127.0.0.1",
  });
  provide("browser", server.wsEndpoint());
  return () => server.close();
}
