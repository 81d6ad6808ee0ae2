// What a cluster has beside services: frameworks with tasks, offers and what they declined, machines with reservations and volumes,
// roles at their limit. For pictures, and for the tests of those pages.

import { ask, eventually } from "./browser";
import { group, role, service } from "./cluster";
import { operate, reserved, scalar, Scheduler, taskOf, volume, type Offer, type Resource } from "./scheduler";

/** The role of the frameworks; another has what an operator set apart. */
export const batch = `${role}-batch`;
export const kept = `${role}-kept`;
/** A service that its role lets have no more. */
export const limited = `${group}/limited`;

export interface Scene {
  framework: Scheduler;
  /** Where it has a volume, and an operator set something apart. */
  machine: string;
  /** A task of the framework that runs, as the framework calls it and as we do. */
  task: string;
  taskId: string;
  clear: () => Promise<void>;
}

/** Who sets something apart: the framework, and an operator. */
const team = "batch-team";
const operator = "ops";

const report = "nightly-report-2026-11-22";

const amount = ({ resources }: Offer, name: string) =>
  resources.reduce((sum, one) => sum + (one.name === name && !one.reservations?.length ? (one.scalar?.value ?? 0) : 0), 0);
const roomy = (offer: Offer) =>
  offer.allocation_info.role === batch && amount(offer, "cpus") >= 0.5 && amount(offer, "mem") >= 256;

export async function scene(): Promise<Scene> {
  await ask("PUT", `/hansa/v1/roles/${role}`, { limit: { cpus_milli: 500 } });
  await ask("PUT", `/hansa/v1/roles/${batch}`, { weight_milli: 2000 });
  await ask("POST", "/v2/apps", { id: limited, cmd: "sleep 1000", cpus: 0.2, mem: 32, instances: 3, role });

  const framework = await Scheduler.subscribe({
    name: "nightly-batch",
    roles: [batch, role],
    failover_timeout: 600,
    principal: team,
    webui_url: "http://batch.example.org/",
  });
  const offer = await framework.offer(roomy);
  const own = [scalar("cpus", 0.2), scalar("mem", 64), scalar("disk", 96)].map((one) => reserved(one, batch, team));
  const orders = volume("orders", 64, batch, team);
  await framework.accept(offer, [
    { type: "RESERVE", reserve: { resources: own } },
    { type: "CREATE", create: { volumes: [orders] } },
    {
      type: "LAUNCH",
      launch: {
        task_infos: [
          taskOf(report, offer, "while true; do echo a page is written; sleep 2; done", [
            reserved(scalar("cpus", 0.1), batch, team),
            reserved(scalar("mem", 32), batch, team),
            orders,
          ]),
          taskOf("import.orders.0000000000000000000000000000.0.7", offer, "sleep 1000"),
          taskOf("mail", offer, "sleep 1000"),
          taskOf("broken-import", offer, "echo no such table >&2; exit 3"),
          taskOf("clean-up", offer, "echo nothing to do"),
        ],
      },
    },
  ]);
  await framework.reached(report, "TASK_RUNNING");
  await framework.reached("mail", "TASK_RUNNING");
  await framework.reached("broken-import", "TASK_FAILED");
  await framework.reached("clean-up", "TASK_FINISHED");
  const other = await framework.offer((one) => one.hostname !== offer.hostname);
  await framework.decline(other, 3600);

  const away = await Scheduler.subscribe({ name: "chronos", roles: [batch], failover_timeout: 3600 });
  away.leave();

  const apart = [scalar("cpus", 0.1), scalar("mem", 64), scalar("disk", 64)].map((one) => reserved(one, kept, operator));
  const pgdata: Resource[] = [volume("pgdata", 32, kept, operator)];
  const agent = offer.agent_id.value;
  await operate("RESERVE_RESOURCES", agent, apart);
  await operate("CREATE_VOLUMES", agent, pgdata);
  await eventually("its role lets it have no more", async () => Boolean((await service(limited))?.waiting_for));
  const { tasks } = await ask<{ tasks: { id: string; framework_task: string | null }[] }>("GET", "/hansa/v1/tasks");
  return {
    framework,
    machine: offer.hostname,
    task: report,
    taskId: tasks.find(({ framework_task }) => framework_task === report)?.id ?? "",
    clear: async () => {
      await framework.tearDown();
      await ask("DELETE", `/hansa/v1/frameworks/${away.id}`);
      await operate("DESTROY_VOLUMES", agent, pgdata);
      await operate("UNRESERVE_RESOURCES", agent, apart);
      await eventually("nothing uses the volume", () =>
        operate("DESTROY_VOLUMES", agent, [orders]).then(
          () => true,
          () => false,
        ),
      );
      await operate("UNRESERVE_RESOURCES", agent, own);
      await ask("DELETE", `/v2/apps${limited}?force=true`);
      for (const name of [batch, kept]) await ask("DELETE", `/hansa/v1/roles/${name}`).catch(() => {});
    },
  };
}
