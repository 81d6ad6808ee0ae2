// Machines as squares: how full each is, by colour; each leads to its page. Many fit, so it is what one looks at first.

import { useMemo } from "react";
import type { Node } from "../../api/types";
import { count, counted, percent } from "../../lib/format";
import { kindNames, totalOf, type Kind } from "../../lib/sums";
import { Link } from "../../ui/link";

export type Of = "allocated" | "used";

export const byName = (a: Node, b: Node) => a.hostname.localeCompare(b.hostname, "en", { numeric: true });

export const shareOf = (node: Node, by: Kind, of: Of) =>
  percent((of === "used" ? node.used?.[by] : node.allocated[by]) ?? 0, totalOf(node)[by]);

export function Cells({ nodes, by, of, large = false }: { nodes: readonly Node[]; by: Kind; of: Of; large?: boolean }) {
  const many = nodes.length > withCells;
  const sorted = useMemo(() => (many ? [] : [...nodes].sort(byName)), [nodes, many]);
  if (many) return <Spread nodes={nodes} by={by} of={of} />;
  const wordy = large && nodes.length <= withWords;
  return (
    <ul className={`cells ${wordy ? "large" : nodes.length > (large ? 800 : 200) ? "dense" : ""}`}>
      {sorted.map((node) => (
        <li key={node.id}>
          <Cell
            node={node}
            wordy={wordy}
            share={shareOf(node, by, of)}
            words={`${kindNames[by]} ${of === "used" ? "used" : "given out"}`}
          />
        </li>
      ))}
    </ul>
  );
}

/** Beyond this many machines a square has no words. */
const withWords = 48;
/** Beyond this many, squares are too many to look at: they are counted by how full they are. */
const withCells = 800;

/** Which tenth of its room a machine has given out or uses; the last holds what is full. */
export const tenthOf = (node: Node, by: Kind, of: Of) => Math.min(9, Math.floor(shareOf(node, by, of) / 10));

/** How many machines are how full, tenth by tenth; each leads to those machines. */
function Spread({ nodes, by, of }: { nodes: readonly Node[]; by: Kind; of: Of }) {
  const tenths = useMemo(() => {
    const counts = Array<number>(10).fill(0);
    for (const node of nodes) counts[tenthOf(node, by, of)] = (counts[tenthOf(node, by, of)] ?? 0) + 1;
    return counts;
  }, [nodes, by, of]);
  const most = Math.max(...tenths, 1);
  return (
    <ol className="spread">
      {tenths.map((number, tenth) => {
        const words = `${counted(number, "machine")} with ${tenth * 10} to ${tenth * 10 + 10} % of ${kindNames[by]} ${of === "used" ? "used" : "given out"}`;
        return (
          <li key={tenth}>
            <Link
              to="machines"
              params={{
                heat: by === "cpus_milli" ? null : by,
                of: of === "used" ? of : null,
                full: String(tenth * 10),
              }}
              aria-label={words}
              title={words}
            >
              <span className="number">{number > 0 && count(number)}</span>
              <i style={{ height: number > 0 ? `${Math.max(2, (number / most) * 72)}px` : 0 }} />
              <span className="soft number tick">{tenth * 10}</span>
            </Link>
          </li>
        );
      })}
      <li className="soft number tick" aria-hidden="true">
        100 %
      </li>
    </ol>
  );
}

function Cell({ node, share, words, wordy }: { node: Node; share: number; words: string; wordy: boolean }) {
  const state = node.state === "active" ? "" : node.state;
  const rest = `of ${words}, ${counted(node.tasks, "task")}`;
  const title = `${node.hostname}${state && `, ${state}`}: ${share} % ${rest}`;
  return (
    <Link
      to="machine"
      params={{ id: node.hostname }}
      className={`cell ${state}`}
      style={{ "--share": `${Math.min(share, 100)}%` } as React.CSSProperties}
      title={title}
      aria-label={wordy ? undefined : title}
    >
      {wordy && (
        <span className="cell-words">
          <span className="cut">{node.hostname} </span>
          <span className="number">
            {state || `${share} %`}
            <span className="hidden"> {rest}</span>
          </span>
        </span>
      )}
    </Link>
  );
}
