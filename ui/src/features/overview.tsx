// The first page: how full the machines are and how much of it is used, what is wrong and why, what is under way.

import { useMemo } from "react";
import { mostFollowed } from "../api/live";
import type { Picture } from "../api/picture";
import type { Node } from "../api/types";
import { count, counted } from "../lib/format";
import { enough, totals, type Kind } from "../lib/sums";
import { Icon } from "../ui/icons";
import { Link } from "../ui/link";
import { Empty, PageHead, Panel, State } from "../ui/primitives";
import { manyTasks, useSettled } from "../ui/settled";
import { useNow } from "../ui/time";
import { Cells } from "./machines/cells";
import { Meters, SpanChoice, usePast } from "./history";
import { Progresses } from "./progress";
import { matters, unwellTasks } from "./trouble";
import { taskTone, isOver } from "./words";

/** Matters shown at once; the rest is counted. */
const mostMatters = 12;

export function Overview({ picture: newest }: { picture: Picture }) {
  const picture = useSettled(newest, newest.complete && newest.tasks.size > manyTasks);
  const nodes = useMemo(() => [...picture.nodes.values()], [picture.nodes]);
  return (
    <>
      <PageHead title="Overview">
        {nodes.length > 0 && <SpanChoice />}
        <Link to="create" className="button main">
          <Icon name="plus" /> Create a service
        </Link>
      </PageHead>
      {nodes.length > 0 && <PoolMeters nodes={nodes} />}
      <div className="columns uneven matters-first">
        <div className="stack">
          <Matters picture={picture} />
          {picture.deployments.size > 0 && <Progresses deployments={[...picture.deployments.values()]} />}
        </div>
        <div className="stack">
          <Pool picture={picture} nodes={nodes} />
          <Runs picture={picture} />
        </div>
      </div>
    </>
  );
}

const metrics: Record<Kind, string> = { cpus_milli: "cpus", mem: "mem", disk: "disk", gpus_milli: "gpus" };

/** The pool as Prometheus has it: what is given out, as a share of what there is. */
const query = (kind: Kind) =>
  `sum(hansa_resources_allocated{kind="${metrics[kind]}"}) / sum(hansa_resources{kind="${metrics[kind]}"})`;

function PoolMeters({ nodes }: { nodes: readonly Node[] }) {
  const sums = useMemo(() => totals(nodes), [nodes]);
  const past = usePast("cluster");
  // What single machines use is not followed in a large cluster: there it is the newest that the master has.
  const followed = sums.measured && nodes.length <= mostFollowed;
  const used = followed ? sums.used : (past.history?.points.at(-1)?.used ?? null);
  return <Meters {...sums} used={used} past={past} query={query} />;
}

function Matters({ picture }: { picture: Picture }) {
  const now = useNow();
  const { services, nodes, tasks, deployments, journal, frameworks } = picture;
  const unwell = useMemo(() => unwellTasks(tasks), [tasks]);
  const found = useMemo(() => matters(picture, unwell, now), [services, nodes, unwell, deployments, journal, frameworks, now]);
  const shown = found.slice(0, mostMatters);
  return (
    <Panel title="What needs attention" count={found.length}>
      {found.length === 0 ? (
        <Empty>
          {services.size === 0 ? (
            <>
              <p>Nothing runs yet. Describe a service by form or paste its definition:</p>
              <div className="row">
                <Link to="create" className="button">
                  Create the first service
                </Link>
                <Link to="create" params={{ "as-json": "yes" }} className="button">
                  Paste a definition
                </Link>
              </div>
            </>
          ) : (
            <State tone="good">Nothing: all {counted(services.size, "service")} are as they should be</State>
          )}
        </Empty>
      ) : (
        <ul className="matters">
          {shown.map((matter) => (
            <li key={matter.key}>
              <Link to={matter.to[0]} params={matter.to[1]}>
                <State tone={matter.tone}>{matter.word}</State>
                <span className="matter-subject">{matter.subject}</span>
                <span className="matter-why soft">{matter.why}</span>
              </Link>
            </li>
          ))}
          {found.length > shown.length && <li className="pad soft">and {count(found.length - shown.length)} more</li>}
        </ul>
      )}
    </Panel>
  );
}

function Pool({ picture, nodes }: { picture: Picture; nodes: readonly Node[] }) {
  const needed = useMemo(() => {
    const tasks = picture.tasks.size > manyTasks ? null : [...picture.tasks.values()].filter((task) => !isOver(task));
    return enough(nodes, tasks);
  }, [nodes, picture.tasks]);
  const up = nodes.filter((node) => node.state !== "unreachable").length;
  return (
    <Panel
      title="Machines"
      count={nodes.length}
      tools={
        <Link to="machines" className="small">
          All machines
        </Link>
      }
    >
      {nodes.length === 0 ? (
        <NoMachines />
      ) : (
        <div className="stack pad" style={{ gap: 12 }}>
          <Cells nodes={nodes} by="cpus_milli" of="allocated" />
          <p className="small">
            {needed === 0 ? (
              <span className="soft">Nothing is given out: all of it is free.</span>
            ) : needed === null ? (
              <span className="soft">The tasks do not fit when packed in order of size; all machines are needed.</span>
            ) : (
              <>
                <strong className="number">{counted(needed, "machine")}</strong> of {count(up)} would be enough for what
                is given out
                {up > needed && <span className="soft"> — {counted(up - needed, "machine")} could be spared</span>}
              </>
            )}
          </p>
        </div>
      )}
    </Panel>
  );
}

export function NoMachines() {
  return (
    <Empty>
      <p>No machine has joined yet. On each machine, run:</p>
      <code>
        hansa agent <span>--master {window.location.origin}</span> <span>--data-dir /var/lib/hansa/agent</span>
      </code>
    </Empty>
  );
}

/** How many tasks are in which state. */
function Runs({ picture }: { picture: Picture }) {
  const { tasks, services, complete } = picture;
  const tones = useMemo(() => {
    const counts = { good: 0, busy: 0, bad: 0, calm: 0 };
    for (const task of tasks.values()) counts[taskTone(task)] += 1;
    return counts;
  }, [tasks]);
  const parts = [
    ["good", tones.good, "running"],
    ["busy", tones.busy, "starting or stopping"],
    ["bad", tones.bad, "failed, lost or unhealthy"],
    ["calm", tones.calm, "ended"],
  ] as const;
  return (
    <Panel
      title="Tasks"
      count={tasks.size}
      tools={
        <Link to="tasks" className="small">
          All tasks
        </Link>
      }
    >
      <dl className="facts">
        {parts
          .filter(([tone, number]) => number > 0 || tone === "good")
          .map(([tone, number, words]) => (
            <div key={tone} style={{ display: "contents" }}>
              <dt>
                <State tone={tone}>{words}</State>
              </dt>
              <dd className="number" style={{ textAlign: "right" }}>
                {count(number)}
              </dd>
            </div>
          ))}
        <dt>Services</dt>
        <dd className="number" style={{ textAlign: "right" }}>
          {count(services.size)}
        </dd>
      </dl>
      {!complete && <p className="pad soft small">Still reading tasks…</p>}
    </Panel>
  );
}
