// Machines as a heat map: how much of each is given out (fill) and really used (inner bar).

import { Bar, Choice, Panel, State, type Tone } from "../ui/primitives";
import { bytes, cpus, percent } from "../lib/format";
import { useParam } from "../lib/url";
import type { Node } from "../api/types";

type Kind = "cpus_milli" | "mem";

const tones: Record<Node["state"], Tone> = {
  active: "good",
  deactivated: "calm",
  draining: "busy",
  disconnected: "busy",
  unreachable: "bad",
};

/** Beyond this many machines a tile is a square without words. */
const wordsUpTo = 60;

export function Machines({ nodes }: { nodes: Node[] }) {
  const [param, setKind] = useParam("heat");
  const [selected, select] = useParam("machine");
  const kind: Kind = param === "mem" ? "mem" : "cpus_milli";
  const small = nodes.length > wordsUpTo;
  return (
    <Panel
      title="Machines"
      count={nodes.length}
      tools={
        <div className="legend">
          <span className="key allocated">allocated</span>
          <span className="key used">used</span>
          <Choice
            label="Colour by"
            value={kind}
            options={[
              ["cpus_milli", "CPU"],
              ["mem", "Memory"],
            ]}
            onChange={(value) => setKind(value === "mem" ? "mem" : null)}
          />
        </div>
      }
    >
      {nodes.length === 0 ? (
        <p className="empty">
          No machine has joined yet. On each machine, run
          <code>hansa agent --master {window.location.origin} --data-dir /var/lib/hansa</code>
        </p>
      ) : (
        <ul className={`heat ${small ? "small" : ""}`}>
          {nodes.map((node) => (
            <li key={node.id}>
              <Tile
                node={node}
                kind={kind}
                small={small}
                selected={selected === node.hostname}
                onSelect={() => select(selected === node.hostname ? null : node.hostname)}
              />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Tile(props: { node: Node; kind: Kind; small: boolean; selected: boolean; onSelect: () => void }) {
  const { node, kind } = props;
  const share = percent(node.allocated[kind], node.total[kind]);
  const used = node.used ? percent(node.used[kind], node.total[kind]) : null;
  const words = `${node.hostname}, ${node.state}: ${share} % of ${kind === "mem" ? "memory" : "CPU"} allocated, ${used ?? "?"} % used, ${node.tasks} tasks`;
  const fill = { "--share": `${share}%` } as React.CSSProperties;
  const state = node.state === "active" ? "" : node.state;
  if (props.small) {
    return (
      <button
        type="button"
        className={`cell ${state}`}
        style={fill}
        title={words}
        aria-label={words}
        aria-pressed={props.selected}
        onClick={props.onSelect}
      />
    );
  }
  return (
    <button type="button" className={`tile ${state}`} aria-pressed={props.selected} onClick={props.onSelect}>
      <span className="tile-head">
        <span className="tile-name">{node.hostname}</span>
        <State tone={tones[node.state]}>{node.state}</State>
      </span>
      <span className="tile-row">
        <span className="soft">CPU</span>
        <Bar label="CPU" allocated={node.allocated.cpus_milli} used={node.used?.cpus_milli ?? null} total={node.total.cpus_milli} />
        <span className="number soft">
          {cpus(node.allocated.cpus_milli)} of {cpus(node.total.cpus_milli)}
        </span>
      </span>
      <span className="tile-row">
        <span className="soft">Memory</span>
        <Bar label="Memory" allocated={node.allocated.mem} used={node.used?.mem ?? null} total={node.total.mem} />
        <span className="number soft">
          {bytes(node.allocated.mem)} of {bytes(node.total.mem)}
        </span>
      </span>
      <span className="tile-foot soft number">
        {node.tasks} {node.tasks === 1 ? "task" : "tasks"}
        {node.used && `, ${cpus(node.used.cpus_milli)} cpus and ${bytes(node.used.mem)} really used`}
      </span>
      {node.missing_isolation.length > 0 && (
        <span className="tile-foot busy-text">Less isolated: {node.missing_isolation.join("; ")}</span>
      )}
      <span className={`heat-strip`} style={fill} data-kind={kind} aria-hidden="true" />
    </button>
  );
}
