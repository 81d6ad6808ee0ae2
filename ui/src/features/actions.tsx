// What a person can do, wherever it is offered: asked once where something is lost, told of afterwards, and offered again with
// force where a deployment stands in the way.

import * as api from "../api/client";
import { ApiError, wordsOf } from "../api/client";
import type { Framework, Node, Role, Service, Task } from "../api/types";
import { count, counted, moment, taskName } from "../lib/format";
import { go, href } from "../lib/route";
import { confirm } from "../ui/dialog";
import { toast } from "../ui/toast";
import { MovePreview } from "./machines/preview";

/** Does it; with `force` once more if a deployment holds the service and the person says so. True: done. */
export async function attempt(done: string, work: (force: boolean) => Promise<unknown>): Promise<boolean> {
  try {
    await work(false);
  } catch (error) {
    if (!(error instanceof ApiError && error.locked)) {
      toast(wordsOf(error), true, error instanceof ApiError ? error.remedy : null);
      return false;
    }
    const yes = await confirm({
      title: "A deployment holds this service",
      body: (
        <p>
          {counted(error.deployments.length, "deployment")} under way{" "}
          {error.deployments.length === 1 ? "changes it too. With force it is" : "change it too. With force they are"}{" "}
          given up as far as done, and this change goes first.
        </p>
      ),
      verb: "Force",
      danger: true,
    });
    if (!yes) return false;
    try {
      await work(true);
    } catch (error) {
      toast(wordsOf(error), true, error instanceof ApiError ? error.remedy : null);
      return false;
    }
  }
  toast(done);
  return true;
}

export async function restart(service: Service) {
  const yes = await confirm({
    title: `Restart ${service.id}?`,
    body: (
      <p>
        {service.instances === 1
          ? "Its only instance is replaced, by another before it goes if its upgrade strategy says so;"
          : `All ${counted(service.instances, "instance")} are replaced, as many at a time as its upgrade strategy lets go;`}{" "}
        the version stays the same.
      </p>
    ),
    verb: "Restart",
  });
  if (yes) await attempt(`${service.id} restarts`, (force) => api.restartApp(service.id, force));
}

export async function suspend(service: Service) {
  const yes = await confirm({
    title: `Suspend ${service.id}?`,
    body: (
      <p>
        Its {counted(service.running + service.staged, "running instance")} will be stopped. Its definition stays;
        scaling it up starts it again.
      </p>
    ),
    verb: "Suspend",
    danger: true,
  });
  if (yes) await scaleTo(service, 0);
}

export const scaleTo = (service: Service, instances: number) =>
  attempt(`${service.id} is asked for ${counted(instances, "instance")}`, (force) =>
    api.changeApp(service.id, { instances }, force),
  );

export async function remove(service: Service) {
  const yes = await confirm({
    title: `Delete ${service.id}?`,
    body: (
      <p>
        Its {counted(service.running + service.staged, "running instance")} will be stopped, and its definition will be
        gone.
      </p>
    ),
    verb: "Delete",
    danger: true,
  });
  if (!yes) return;
  if (await attempt(`${service.id} is deleted`, (force) => api.deleteApp(service.id, force))) go(href("services"));
}

/** Services of a group that its question names; the others are counted. */
const mostNamed = 8;

export async function removeGroup(id: string, services: readonly Service[]) {
  const running = services.reduce((sum, service) => sum + service.running, 0);
  const yes = await confirm({
    title: `Delete the group ${id}?`,
    body: (
      <>
        <p>
          {counted(services.length, "service")} in it with {counted(running, "running instance")} will be stopped and
          gone:
        </p>
        <ul className="mono small wrap">
          {services.slice(0, mostNamed).map((service) => (
            <li key={service.id}>{service.id}</li>
          ))}
          {services.length > mostNamed && <li>and {count(services.length - mostNamed)} more</li>}
        </ul>
      </>
    ),
    verb: "Delete all of it",
    danger: true,
  });
  if (yes && (await attempt(`${id} is deleted`, (force) => api.deleteGroup(id, force)))) go(href("services"));
}

export async function rollBack(service: Service, version: string) {
  return attempt(`${service.id} goes back to the version of ${moment(Date.parse(version))}`, (force) =>
    api.changeApp(service.id, { version }, force),
  );
}

export async function kill(task: Task, scale: boolean) {
  const yes = await confirm({
    title: `Kill ${taskName(task)}${task.app ? ` of ${task.app}` : ""}?`,
    body: scale ? (
      <p>It gets SIGTERM and, after its grace period, SIGKILL. {task.app} will ask for one instance less.</p>
    ) : (
      <p>
        It gets SIGTERM and, after its grace period, SIGKILL.{" "}
        {task.app ? `${task.app} starts another in its place.` : ""}
      </p>
    ),
    verb: scale ? "Kill and scale down" : "Kill",
    danger: true,
  });
  if (yes) await attempt("The task is being killed", () => api.killTask(task.id, scale));
}

const orders = {
  drain: {
    verb: "Drain",
    what: "Its tasks are replaced elsewhere and then stopped here; it takes no new ones until it is reactivated.",
    done: "drains",
    danger: false,
  },
  deactivate: {
    verb: "Deactivate",
    what: "Its tasks run on; it takes no new ones until it is reactivated.",
    done: "takes no new tasks",
    danger: false,
  },
  reactivate: { verb: "Reactivate", what: "It takes tasks again.", done: "takes tasks again", danger: false },
  gone: {
    verb: "Declare gone",
    what: "For a machine that will never come back: its tasks count as lost and are replaced elsewhere. If its agent comes back all the same, it must join as a new machine.",
    done: "is gone",
    danger: true,
  },
} as const;

export async function orderMachine(node: Node, order: api.MachineOrder) {
  const { verb, what, done, danger } = orders[order];
  if (order !== "reactivate") {
    const moves = order === "drain" || order === "gone";
    const yes = await confirm({
      title: `${verb} ${node.hostname}?`,
      body: (
        <>
          <p>{what}</p>
          {moves && <MovePreview node={node} />}
        </>
      ),
      verb,
      danger,
      wide: moves,
    });
    if (!yes) return;
  }
  await attempt(`${node.hostname} ${done}`, () => api.orderMachine(node.id, order));
}

export async function tearDown(framework: Framework) {
  const yes = await confirm({
    title: `Tear ${framework.name} down?`,
    body: (
      <p>
        Its {counted(framework.tasks, "task")} and executors are killed, its offers taken back. It is gone for good: its
        scheduler cannot come back under this id.
      </p>
    ),
    verb: "Tear down",
    danger: true,
  });
  if (yes) await attempt(`${framework.name} is torn down`, () => api.tearDownFramework(framework.id));
}

/** True: its settings are gone. */
export async function removeRole(role: Role): Promise<boolean> {
  const yes = await confirm({
    title: `Delete the settings of ${role.name}?`,
    body: (
      <p>
        The role gets the weight 1, nothing guaranteed and no limit. What runs in it runs on, and services and frameworks
        can be in it as before.
      </p>
    ),
    verb: "Delete the settings",
    danger: true,
  });
  return yes && attempt(`The settings of ${role.name} are deleted`, () => api.removeRole(role.name));
}

const deploymentOrders = {
  pause: { verb: "Pause", done: "paused" },
  resume: { verb: "Resume", done: "resumed" },
  cancel: { verb: "Roll back", done: "rolling back" },
} as const;

export async function orderDeployment(
  id: string,
  services: readonly string[],
  order: api.DeploymentOrder,
  force = false,
) {
  const names = services.join(", ");
  if (order === "cancel") {
    const yes = await confirm({
      title: force ? "Stop this deployment where it is?" : "Roll this deployment back?",
      body: force ? (
        <p>
          {names}: nothing more is started or stopped for it, and nothing is undone. Instances of both versions may run.
        </p>
      ) : (
        <p>{names}: a new deployment brings back what ran before.</p>
      ),
      verb: force ? "Stop it" : "Roll back",
      danger: true,
    });
    if (!yes) return;
  }
  const done = force ? "stopped" : deploymentOrders[order].done;
  await attempt(`Deployment of ${names}: ${done}`, () => api.orderDeployment(id, order, force));
}

export async function endDelay(id: string) {
  await attempt(`${id} tries again now`, () => api.endDelay(id));
}
