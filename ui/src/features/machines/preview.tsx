// What will move when a machine is emptied, and where each could go: asked of the master, service by service.

import { useEffect, useState } from "react";
import { explain } from "../../api/client";
import type { Explanation, Node, Task } from "../../api/types";
import { counted } from "../../lib/format";
import { State } from "../../ui/primitives";

/** Services that are asked about; each answer is a placement pass. */
const most = 12;

export function MovePreview({ node, tasks }: { node: Node; tasks: readonly Task[] }) {
  const counts = new Map<string, number>();
  for (const task of tasks) counts.set(task.app ?? "", (counts.get(task.app ?? "") ?? 0) + 1);
  const services = [...counts].sort((a, b) => b[1] - a[1]).slice(0, most);
  const [answers, setAnswers] = useState<ReadonlyMap<string, Explanation | null>>(new Map());
  useEffect(() => {
    let current = true;
    for (const [id] of services) {
      if (!id) continue;
      const put = (answer: Explanation | null) => current && setAnswers((known) => new Map(known).set(id, answer));
      explain(id).then(put, () => put(null));
    }
    return () => {
      current = false;
    };
    // What is on the machine when it is asked, not what comes and goes meanwhile.
  }, []);
  if (tasks.length === 0) return <p className="soft">No task runs there.</p>;
  return (
    <div className="scroll" style={{ maxHeight: 260 }} tabIndex={0} role="region" aria-label="What will move">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{counted(tasks.length, "task")} there</th>
            <th scope="col" className="right">
              How many
            </th>
            <th scope="col">Could go to</th>
          </tr>
        </thead>
        <tbody>
          {services.map(([id, number]) => (
            <tr key={id}>
              <td className="wrap">{id || "tasks of frameworks"}</td>
              <td className="right number">{number}</td>
              <td>{id ? <Target answer={answers.get(id)} node={node} /> : "its framework decides"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {counts.size > most && <p className="pad soft">and {counted(counts.size - most, "service")} more</p>}
    </div>
  );
}

/** Where the next instance would go, this machine left out as far as the answer allows. */
function Target({ answer, node }: { answer: Explanation | null | undefined; node: Node }) {
  if (answer === undefined) return <span className="soft">asking…</span>;
  if (answer === null) return <span className="soft">not known</span>;
  if (answer.choice && answer.choice !== node.id) return <span>{answer.choice_hostname ?? answer.choice}</span>;
  // The answer takes this machine for one like any other: it may be one of those that fit, or the best of them.
  const others = answer.fitting - (answer.choice === node.id ? 1 : 0);
  if (others > 0) return <span>one of {counted(others, "other machine")}</span>;
  return <State tone="bad">nowhere yet</State>;
}
