// Machines as squares: how full each is, by colour; each leads to its page. Many fit, so it is what one looks at first.

import { useMemo } from "react";
import type { Node } from "../../api/types";
import { counted, percent } from "../../lib/format";
import { kindNames, totalOf, type Kind } from "../../lib/sums";
import { Link } from "../../ui/link";

export type Of = "allocated" | "used";

export const byName = (a: Node, b: Node) => a.hostname.localeCompare(b.hostname, "en", { numeric: true });

export const shareOf = (node: Node, by: Kind, of: Of) =>
  percent((of === "used" ? node.used?.[by] : node.allocated[by]) ?? 0, totalOf(node)[by]);

export function Cells({ nodes, by, of, large = false }: { nodes: readonly Node[]; by: Kind; of: Of; large?: boolean }) {
  const sorted = useMemo(() => [...nodes].sort(byName), [nodes]);
  const wordy = large && nodes.length <= withWords;
  return (
    <ul className={`cells ${wordy ? "large" : nodes.length > (large ? 800 : 200) ? "dense" : ""}`}>
      {sorted.map((node) => (
        <li key={node.id}>
          <Cell node={node} wordy={wordy} share={shareOf(node, by, of)} words={`${kindNames[by]} ${of === "used" ? "used" : "given out"}`} />
        </li>
      ))}
    </ul>
  );
}

/** Beyond this many machines a square has no words. */
const withWords = 48;

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
