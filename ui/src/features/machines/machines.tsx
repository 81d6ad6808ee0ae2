// All machines: as a heat map, and as a table below it.

import { useMemo } from "react";
import { useFreshUsage } from "../../api/live";
import type { Picture } from "../../api/picture";
import type { Node } from "../../api/types";
import { amount, count, natural, percent } from "../../lib/format";
import { useParam } from "../../lib/route";
import { has } from "../../lib/search";
import { kindNames, kinds, totalOf, type Kind } from "../../lib/sums";
import { Link } from "../../ui/link";
import { Bar, Chip, Choice, Empty, PageHead, Panel, Search } from "../../ui/primitives";
import { Table, type Column } from "../../ui/table";
import { NoMachines } from "../overview";
import { MachineState } from "../words";
import { Cells, tenthOf, type Of } from "./cells";

const states = ["active", "draining", "deactivated", "disconnected", "unreachable"] as const;

/** What a filter looks at. */
const wordsOf = (node: Node) =>
  `${node.hostname} ${node.state} ${node.region ?? ""} ${node.zone ?? ""} ${Object.entries(node.attributes)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ")}`;

export function Machines({ picture }: { picture: Picture }) {
  useFreshUsage(null);
  const [query, setQuery] = useParam("q");
  const [state, setState] = useParam("state");
  const [zone, setZone] = useParam("zone");
  const [heat, setHeat] = useParam("heat");
  const [ofParam, setOf] = useParam("of");
  const by: Kind = kinds.find((kind) => kind === heat) ?? "cpus_milli";
  const of: Of = ofParam === "used" ? "used" : "allocated";
  const [full, setFull] = useParam("full");
  const nodes = useMemo(() => [...picture.nodes.values()], [picture.nodes]);
  const zones = useMemo(() => [...new Set(nodes.flatMap((node) => node.zone ?? []))].sort(), [nodes]);
  const present = states.filter((state) => nodes.some((node) => node.state === state));
  const shown = useMemo(() => {
    const fits = has(query ?? "");
    return nodes.filter(
      (node) =>
        (!state || node.state === state) &&
        (!zone || node.zone === zone) &&
        (!full || tenthOf(node, by, of) === Number(full) / 10) &&
        fits(wordsOf(node)),
    );
  }, [nodes, query, state, zone, full, by, of]);
  const gpus = nodes.some((node) => node.total.gpus.length > 0);
  return (
    <>
      <PageHead
        title="Machines"
        count={shown.length < nodes.length ? `${count(shown.length)} of ${count(nodes.length)}` : count(nodes.length)}
      />
      {nodes.length === 0 ? (
        <section className="panel">
          <NoMachines />
        </section>
      ) : (
        <>
          <div className="filters">
            <Search
              label="Filter by name, zone, attribute=value"
              value={query ?? ""}
              onChange={(value) => setQuery(value, true)}
            />
            <select aria-label="State" value={state ?? ""} onChange={(event) => setState(event.target.value || null)}>
              <option value="">Any state</option>
              {present.map((state) => (
                <option key={state}>{state}</option>
              ))}
            </select>
            {zones.length > 0 && (
              <select aria-label="Zone" value={zone ?? ""} onChange={(event) => setZone(event.target.value || null)}>
                <option value="">Any zone</option>
                {zones.map((zone) => (
                  <option key={zone}>{zone}</option>
                ))}
              </select>
            )}
            {full && (
              <Chip
                words={`${full} to ${Number(full) + 10} % of ${kindNames[by]} ${of === "used" ? "used" : "given out"}`}
                onClear={() => setFull(null)}
              />
            )}
          </div>
          <Panel
            title="How full"
            tools={
              <span className="row">
                <Choice
                  label="What counts"
                  value={of}
                  options={[
                    ["allocated", "Given out"],
                    ["used", "Really used"],
                  ]}
                  onChange={(value) => setOf(value === "used" ? value : null)}
                />
                <Choice
                  label="Of which resource"
                  value={by}
                  options={kinds
                    .filter((kind) => kind !== "gpus_milli" || gpus)
                    .map((kind) => [kind, kindNames[kind]] as const)}
                  onChange={(value) => setHeat(value === "cpus_milli" ? null : value)}
                />
              </span>
            }
          >
            <div className="pad">
              <Cells nodes={shown} by={by} of={of} large />
            </div>
          </Panel>
          <Panel
            title="Machine by machine"
            tools={
              <span className="legend">
                <span className="key">given out</span>
                <span className="key used">really used</span>
              </span>
            }
          >
            {shown.length === 0 ? (
              <Empty>
                <p>No machine matches.</p>
                <Link to="machines" className="button">
                  Show all
                </Link>
              </Empty>
            ) : (
              <Table
                label="Machines"
                columns={gpus ? columns : columns.filter(({ key }) => key !== "gpus_milli")}
                rows={shown}
                rowKey={(node) => node.id}
                first="name"
              />
            )}
          </Panel>
        </>
      )}
    </>
  );
}

const share = (kind: Kind): Column<Node> => ({
  key: kind,
  head: kindNames[kind],
  wide: kind !== "cpus_milli",
  by: (node) => percent(node.allocated[kind], totalOf(node)[kind]),
  cell: (node) => {
    const total = totalOf(node)[kind];
    return (
      <div className="with-bar" title={`${amount(kind, node.allocated[kind])} of ${amount(kind, total)}`}>
        <Bar label={kindNames[kind]} allocated={node.allocated[kind]} used={node.used?.[kind] ?? null} total={total} />
        <span className="number soft">{percent(node.allocated[kind], total)} %</span>
      </div>
    );
  },
});

const columns: readonly Column<Node>[] = [
  {
    key: "name",
    head: "Machine",
    by: (node) => natural(node.hostname),
    cell: (node) => (
      <Link to="machine" params={{ id: node.hostname }}>
        {node.hostname}
      </Link>
    ),
  },
  { key: "state", head: "State", by: (node) => node.state, cell: (node) => <MachineState node={node} /> },
  share("cpus_milli"),
  share("mem"),
  share("disk"),
  share("gpus_milli"),
  { key: "tasks", head: "Tasks", right: true, by: (node) => node.tasks, cell: (node) => count(node.tasks) },
  {
    key: "zone",
    head: "Attributes",
    wide: true,
    cell: (node) => (
      <span className="tags">
        {node.zone && <span className="tag">{node.zone}</span>}
        {Object.entries(node.attributes)
          .slice(0, 4)
          .map(([name, value]) => (
            <span key={name} className="tag">
              {name}={value}
            </span>
          ))}
      </span>
    ),
  },
];
