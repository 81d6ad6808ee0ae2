// What one task uses of what it asked for, over time.

import type { Task } from "../../api/types";
import { bytes, cpus, cpuWords } from "../../lib/format";
import type { Kind } from "../../lib/sums";
import { UsageChart } from "../../ui/chart";
import { Panel, Waiting } from "../../ui/primitives";
import { pointsOf, SpanChoice, timesOf, usePast } from "../history";

type Words = (value: number) => string;

/** Each with how an amount is said, with its unit and beside others of the same. */
const shown = [
  ["cpus_milli", "CPU", cpuWords, cpus],
  ["mem", "Memory", bytes, bytes],
] as const satisfies readonly (readonly [Kind, string, Words, Words])[];

export function TaskUsage({ task }: { task: Task }) {
  const past = usePast(`task:${task.id}`);
  const points = past.history?.points ?? [];
  return (
    <Panel title="Use against what it asks for" tools={<SpanChoice />}>
      {past.problem ? (
        <p className="pad soft">{past.problem}</p>
      ) : !past.history ? (
        <Waiting height={300} />
      ) : (
        <div className="pad stack">
          {shown.map(([kind, name, show, bare]) => {
            const last = points.findLast((point) => point.used !== null)?.used?.[kind];
            const most = points.reduce((most, { used }) => Math.max(most, used?.[kind] ?? 0), 0);
            return (
              <section key={kind} aria-label={name} className="tall-chart">
                <div className="meter-head">
                  <h3>{name}</h3>
                  <span className="soft small number">
                    {last === undefined
                      ? "nothing measured yet"
                      : `${bare(last)} now, ${bare(most)} at most of ${show(task[kind])}`}
                  </span>
                </div>
                <UsageChart
                  label={name}
                  points={pointsOf(past, kind).map(({ at, used }) => ({ at, used, allocated: task[kind] }))}
                  times={timesOf(past)}
                  total={Math.max(task[kind], most) * 1.05}
                  show={show}
                />
              </section>
            );
          })}
          {past.history.words && <p className="soft small">{past.history.words}</p>}
        </div>
      )}
    </Panel>
  );
}
