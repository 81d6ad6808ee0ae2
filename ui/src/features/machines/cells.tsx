// Machines as squares: how full each is, by colour; each leads to its page. Many fit, so it is what one looks at first.

import { useMemo } from "react";
import type { Node } from "../../api/types";
import { percent } from "../../lib/format";
import { kindNames, totalOf, type Kind } from "../../lib/sums";
import { Link } from "../../ui/link";

export type Of = "allocated" | "used";

export const byName = (a: Node, b: Node) => a.hostname.localeCompare(b.hostname, "en", { numeric: true });

export const shareOf = (node: Node, by: Kind, of: Of) =>
  percent((of === "used" ? node.used?.[by] : node.allocated[by]) ?? 0, totalOf(node)[by]);

export function Cells({ nodes, by, of, large = false }: { nodes: readonly Node[]; by: Kind; of: Of; large?: boolean }) {
  const sorted = useMemo(() => [...nodes].sort(byName), [nodes]);
  return (
    <ul className={`cells ${large && nodes.length <= 48 ? "large" : ""}`}>
      {sorted.map((node) => (
        <li key={node.id}>
          <Cell node={node} share={shareOf(node, by, of)} words={`${kindNames[by]} ${of === "used" ? "used" : "given out"}`} />
        </li>
      ))}
    </ul>
  );
}

function Cell({ node, share, words }: { node: Node; share: number; words: string }) {
  const state = node.state === "active" ? "" : node.state;
  const title = `${node.hostname}${state && `, ${state}`}: ${share} % of ${words}, ${node.tasks} ${node.tasks === 1 ? "task" : "tasks"}`;
  return (
    <Link
      to="machine"
      params={{ id: node.hostname }}
      className={`cell ${state} ${share >= 55 ? "full" : ""}`}
      style={{ "--share": `${Math.min(share, 100)}%` } as React.CSSProperties}
      title={title}
      aria-label={title}
    >
      <span className="cell-words" aria-hidden="true">
        <span className="cut">{node.hostname}</span>
        <span className="number">{state && node.state !== "active" ? state : `${share} %`}</span>
      </span>
    </Link>
  );
}
