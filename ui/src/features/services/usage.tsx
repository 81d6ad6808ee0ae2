// What a service uses of what it asks for, over all instances and each; and what would be enough.

import { useAsked } from "../../api/asked";
import { changeApp } from "../../api/client";
import { serviceUsage, type ServiceUsage, type Spread } from "../../api/past";
import type { Service } from "../../api/types";
import { bytes, count, counted, cpus, cpuWords, every, shortTask } from "../../lib/format";
import { UsageChart } from "../../ui/chart";
import { confirm } from "../../ui/dialog";
import { Link } from "../../ui/link";
import { Bar, Empty, Panel, Waiting } from "../../ui/primitives";
import { Table, type Column } from "../../ui/table";
import { attempt } from "../actions";
import { pointsOf, SpanChoice, timesOf, usePast, useSpan } from "../history";
import { Diff } from "./diff";

const renewed = 30_000;
const kinds = [
  ["cpus_milli", "CPU", cpuWords],
  ["mem", "Memory", bytes],
] as const;

export function Usage({ service }: { service: Service }) {
  const span = useSpan();
  const { value, problem } = useAsked(
    `${service.id} ${service.version} ${span}`,
    () => serviceUsage(service.id, span),
    () => renewed,
  );
  return (
    <>
      {value && <Hint service={service} usage={value} />}
      <Together service={service} />
      <Panel title="Each instance" {...(value && { count: value.instances.length })}>
        {problem ? (
          <p className="pad soft">{problem}</p>
        ) : !value ? (
          <Waiting height={160} />
        ) : value.instances.length === 0 ? (
          <Empty>
            <p className="sentence">{value.words || "Nothing is measured yet; machines measure running instances every few seconds."}</p>
          </Empty>
        ) : (
          <>
            <Instances service={service} usage={value} />
            {value.silent.length > 0 && (
              <p className="pad soft small">
                {counted(value.silent.length, "machine")} did not answer: {value.silent[0]?.why}
              </p>
            )}
          </>
        )}
      </Panel>
    </>
  );
}

function Together({ service }: { service: Service }) {
  const past = usePast(`service:${service.id}`);
  return (
    <Panel title="All instances together" tools={<SpanChoice />}>
      {past.problem ? (
        <p className="pad soft">{past.problem}</p>
      ) : !past.history ? (
        <Waiting height={120} />
      ) : (
        <div className="pad columns">
          {kinds.map(([kind, name, show]) => {
            const points = pointsOf(past, kind);
            const most = points.reduce((most, { used, allocated }) => Math.max(most, used ?? 0, allocated ?? 0), 0);
            const last = points.findLast((point) => point.used !== null);
            return (
              <section key={kind} aria-label={name} className="tall-chart">
                <div className="meter-head">
                  <h3>{name}</h3>
                  <span className="soft small number">
                    {last?.used === undefined || last.used === null
                      ? ""
                      : `${show(last.used)} used now of ${show(service[kind] * service.running)}`}
                  </span>
                </div>
                <UsageChart
                  label={name}
                  points={points}
                  times={timesOf(past)}
                  total={Math.max(service[kind] * service.running, most) * 1.05}
                  show={show}
                />
              </section>
            );
          })}
        </div>
      )}
    </Panel>
  );
}

/** What would be enough, with the way to have it. */
function Hint({ service, usage }: { service: Service; usage: ServiceUsage }) {
  const { suggestion, used, words } = usage;
  if (!used) return null;
  const apply = async () => {
    if (!suggestion) return;
    const change = { cpus: suggestion.cpus_milli / 1000, mem: Math.ceil(suggestion.mem / (1 << 20)) };
    const before = { cpus: usage.cpus_milli / 1000, mem: Math.round(usage.mem / (1 << 20)) };
    const yes = await confirm({
      title: `Let ${service.id} ask for what it needs?`,
      body: (
        <>
          <p>
            {suggestion.words} A deployment replaces {every(service.instances)}.
          </p>
          <Diff before={before} after={change} label="What changes" />
        </>
      ),
      verb: "Change it",
    });
    if (yes) await attempt(`${service.id} asks for what it needs`, (force) => changeApp(service.id, change, force));
  };
  return (
    <section className="panel" aria-label="Right size">
      <div className="pad stack" style={{ gap: 8 }}>
        <div className="sizes">
          {kinds.map(([kind, name, show]) => (
            <div key={kind} className="size">
              <span className="soft small">{name} of an instance</span>
              <Bar
                label={`${name}: asked for against used`}
                allocated={usage[kind]}
                used={used[kind].p95}
                total={Math.max(usage[kind], used[kind].max)}
              />
              <span className="small number">
                asks for <strong>{show(usage[kind])}</strong>, uses {spread(used[kind], kind === "mem" ? bytes : cpus)}
                {suggestion && suggestion[kind] !== usage[kind] && (
                  <>
                    {" "}
                    → <strong>{show(suggestion[kind])}</strong> would do
                  </>
                )}
              </span>
            </div>
          ))}
        </div>
        <div className="row">
          <p className="soft small sentence" style={{ flex: 1, minWidth: 200 }}>
            {suggestion?.words ?? words}
          </p>
          {suggestion && (
            <button type="button" className="button" onClick={() => void apply()}>
              Let it ask for that
            </button>
          )}
        </div>
      </div>
    </section>
  );
}

const spread = ({ p50, p95, max }: Spread, show: (value: number) => string) =>
  `${show(p50)} mostly, ${show(p95)} at times, ${show(max)} at most`;

type Row = ServiceUsage["instances"][number];

function Instances({ service, usage }: { service: Service; usage: ServiceUsage }) {
  const columns: Column<Row>[] = [
    {
      key: "task",
      head: "Task",
      by: (row) => row.task,
      cell: (row) => (
        <Link to="task" params={{ id: row.task, on: row.hostname, tab: "usage" }} className="mono" title={row.task}>
          {shortTask(row.task)}
        </Link>
      ),
    },
    {
      key: "machine",
      head: "Machine",
      wide: true,
      by: (row) => row.hostname,
      cell: (row) => (
        <Link to="machine" params={{ id: row.hostname }}>
          {row.hostname}
        </Link>
      ),
    },
    ...kinds.flatMap(([kind, name, show]): Column<Row>[] => [
      { key: kind, head: `${name}, mostly`, right: true, wide: true, by: (row) => row[kind].p50, cell: (row) => show(row[kind].p50) },
      {
        key: `${kind}-max`,
        head: `${name}, at most`,
        right: true,
        by: (row) => row[kind].max,
        cell: (row) => show(row[kind].max),
      },
    ]),
    { key: "points", head: "Samples", right: true, wide: true, cell: (row) => count(row.points) },
  ];
  return (
    <Table
      label={`Use of the instances of ${service.id}`}
      columns={columns}
      rows={usage.instances}
      rowKey={(row) => row.task}
      first="-cpus_milli"
      param="by"
      short
    />
  );
}
