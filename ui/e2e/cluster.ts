// What the tests put into the cluster: below one group, and gone afterwards.

import { ask, eventually } from "./browser";

export const group = "/console-e2e";
export const web = `${group}/web`;
export const big = `${group}/nested/big`;
export const broken = `${group}/broken`;
export const role = "console-e2e";

interface Listed {
  id: string;
  running: number;
  failing: unknown;
  waiting_for: string | null;
}

export const service = async (id: string) =>
  (await ask<{ services: Listed[] }>("GET", "/hansa/v1/services")).services.find((service) => service.id === id);

export const tasksOf = async (id: string) =>
  (await ask<{ tasks: { id: string; hostname: string; state: string }[] }>("GET", `/hansa/v1/tasks?app=${id}`)).tasks;

export async function fill() {
  await clear();
  await ask("PUT", `/hansa/v1/roles/${role}`, { limit: { cpus_milli: 1000 } });
  const small = { cpus: 0.05, mem: 32, backoffSeconds: 1 };
  await ask("POST", "/v2/apps", {
    ...small,
    id: web,
    instances: 2,
    cmd: "mkdir -p logs; echo kept > logs/app.log; i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done",
    labels: { made: "by-tests" },
  });
  await ask("POST", "/v2/apps", { ...small, id: big, cpus: 4000, cmd: "sleep 1000" });
  await ask("POST", "/v2/apps", { ...small, id: broken, cmd: "echo no database >&2; exit 3" });
  await eventually("the web service runs", async () => (await service(web))?.running === 2);
  await eventually("the big one waits for a place", async () => Boolean((await service(big))?.waiting_for));
  await eventually("the broken one fails", async () => Boolean((await service(broken))?.failing), 60_000);
}

export async function clear() {
  await ask("DELETE", `/v2/groups${group}?force=true`).catch(() => {});
  await ask("DELETE", `/hansa/v1/roles/${role}`).catch(() => {});
  await eventually("all of the tests is gone", async () => {
    const { services } = await ask<{ services: Listed[] }>("GET", "/hansa/v1/services");
    return !services.some((service) => service.id.startsWith(`${group}/`));
  });
}
