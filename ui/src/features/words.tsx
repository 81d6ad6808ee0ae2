// How things are, in a word with its tone.

import { pictureNow } from "../api/live";
import { trouble } from "../api/picture";
import type { Framework, Health, Node, NodeState, Progress, Service, Task } from "../api/types";
import { taskState } from "../lib/format";
import { Link } from "../ui/link";
import { Bar, State } from "../ui/primitives";
import type { Tone } from "../ui/tone";

const healthTones: Record<Health, Tone> = {
  healthy: "good",
  deploying: "busy",
  waiting: "busy",
  unhealthy: "bad",
  suspended: "calm",
};

const machineTones: Record<NodeState, Tone> = {
  active: "good",
  deactivated: "calm",
  draining: "busy",
  disconnected: "busy",
  unreachable: "bad",
};

/** Without its scheduler nobody looks after a framework's tasks; one that has none lacks nothing. */
export function frameworkTone({ state, tasks }: Framework): Tone {
  switch (state) {
    case "connected":
      return "good";
    case "disconnected":
      return tasks > 0 ? "bad" : "busy";
    case "recovered":
      return "busy";
    default:
      return "calm";
  }
}

export type Deployments = ReadonlyMap<string, Progress>;

export function serviceWord(service: Service, deployments: Deployments): { tone: Tone; word: string } {
  const word = trouble(service, deployments);
  if (!word && isPending(service)) return { tone: "busy", word: "pending" };
  if (!word) return { tone: healthTones[service.health], word: service.health };
  return { tone: word === "paused" ? "busy" : "bad", word };
}

export function ServiceState({ service, deployments }: { service: Service; deployments: Deployments }) {
  const { tone, word } = serviceWord(service, deployments);
  return <State tone={tone}>{word}</State>;
}

/** Whether instances of it wait for room or for what their role may have, and not only to start. */
const isPending = ({ health, waiting_for }: Service) =>
  health === "waiting" || (health === "deploying" && /\bwaits?\b(?!.*because of failures)/.test(waiting_for ?? ""));

/** Whether its missing instances look for a place. */
export const isWaiting = (service: Service) =>
  service.health === "waiting" ||
  (service.running + service.staged < service.instances && service.health !== "suspended");

export const MachineState = ({ node }: { node: Node }) => <State tone={machineTones[node.state]}>{node.state}</State>;

export const taskTone = (task: Task): Tone => stateTone(task.state, task.healthy);

export function stateTone(state: string, healthy: boolean | null): Tone {
  if (healthy === false) return "bad";
  switch (state) {
    case "TASK_RUNNING":
      return "good";
    case "TASK_STAGING":
    case "TASK_STARTING":
    case "TASK_KILLING":
      return "busy";
    case "TASK_KILLED":
    case "TASK_FINISHED":
      return "calm";
    default:
      return "bad";
  }
}

export const taskWords = (task: Task) =>
  taskState(task.state) + (task.healthy === null ? "" : task.healthy ? ", healthy" : ", unhealthy");

export const TaskState = ({ task }: { task: Task }) => (
  <State tone={taskTone(task)} title={task.message || undefined}>
    {taskWords(task)}
  </State>
);

/** What a framework is called; its id, if nobody knows. */
const frameworkName = (id: string) => pictureNow().frameworks.get(id)?.name ?? id;

/** A framework, and the way there. */
export const FrameworkLink = ({ id }: { id: string }) => (
  <Link to="framework" params={{ id }} className="wrap">
    {frameworkName(id)}
  </Link>
);

/** Whose task it is: its service's, or by name its framework's. */
export const ownerOf = ({ app, framework }: Task) => app ?? (framework === null ? "" : frameworkName(framework));

/** The same, with the way there. */
export function Owner({ task }: { task: Task }) {
  const { app, framework } = task;
  if (app)
    return (
      <Link to="service" params={{ id: app }} className="wrap">
        {app}
      </Link>
    );
  return framework && <FrameworkLink id={framework} />;
}

export const isOver = (task: Task) =>
  !["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"].includes(task.state);

/** How many instances run of those wanted: squares while they are few, a bar beyond. */
export function Instances({ service }: { service: Service }) {
  const { instances, running, staged, healthy, unhealthy } = service;
  const words = `${running} of ${instances} running${unhealthy ? `, ${unhealthy} unhealthy` : ""}${staged ? `, ${staged} starting` : ""}`;
  const most = Math.max(instances, running + staged);
  const pips: Tone[] = [
    ...Array<Tone>(Math.min(healthy, running)).fill("good"),
    ...Array<Tone>(Math.max(0, running - healthy - unhealthy)).fill("good"),
    ...Array<Tone>(unhealthy).fill("bad"),
    ...Array<Tone>(staged).fill("busy"),
  ];
  return (
    <span className="row" style={{ gap: 8, flexWrap: "nowrap" }}>
      <span className="number" style={{ flex: "none", minWidth: 42, whiteSpace: "nowrap" }}>
        {running} / {instances}
      </span>
      {most === 0 ? null : most <= 12 ? (
        <span className="pips wide" role="img" aria-label={words} title={words}>
          {Array.from({ length: most }, (_, index) => (
            <i key={index} className={pips[index]} />
          ))}
        </span>
      ) : (
        <span className="wide" style={{ flex: "0 1 105px" }}>
          <Bar label={words} allocated={running} used={null} total={most} />
        </span>
      )}
    </span>
  );
}
