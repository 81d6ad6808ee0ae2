// What a role had and used over time, against its limit if it has one.

import type { Role } from "../api/types";
import { unitWords } from "../lib/format";
import { kindNames, type Kind } from "../lib/sums";
import { UsageChart } from "../ui/chart";
import { Panel, Waiting } from "../ui/primitives";
import { pointsOf, SpanChoice, timesOf, usePast } from "./history";

const shown: readonly Kind[] = ["cpus_milli", "mem"];

export function RolePast({ role }: { role: Role }) {
  const past = usePast(`role:${role.name}`);
  return (
    <Panel title={`Use of ${role.name} over time`} tools={<SpanChoice />}>
      {past.problem ? (
        <p className="pad soft">{past.problem}</p>
      ) : !past.history ? (
        <Waiting height={120} />
      ) : (
        <div className="pad columns">
          {shown.map((kind) => {
            const points = pointsOf(past, kind);
            const limit = role.limit[kind] ?? 0;
            const most = points.reduce((most, { used, allocated }) => Math.max(most, used ?? 0, allocated ?? 0), limit);
            const show = (value: number) => unitWords(kind, value);
            return (
              <section key={kind} aria-label={kindNames[kind]} className="tall-chart">
                <div className="meter-head">
                  <h3>{kindNames[kind]}</h3>
                  <span className="soft small number">
                    {show(role.allocated[kind])} now{limit > 0 && ` of at most ${show(limit)}`}
                  </span>
                </div>
                <UsageChart
                  label={kindNames[kind]}
                  points={points}
                  times={timesOf(past)}
                  total={Math.max(most, 1) * 1.05}
                  show={show}
                />
              </section>
            );
          })}
        </div>
      )}
      {past.history?.words && <p className="pad soft small sentence">{past.history.words}</p>}
    </Panel>
  );
}
