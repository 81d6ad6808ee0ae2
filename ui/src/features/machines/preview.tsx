// What becomes of a machine's tasks when it is emptied, and where each goes: as the master itself works it out.

import { useAsked } from "../../api/asked";
import { drainPreview } from "../../api/client";
import type { DrainedTask, Node } from "../../api/types";
import { counted } from "../../lib/format";
import { State, Waiting } from "../../ui/primitives";

interface Row {
  owner: string;
  task: DrainedTask;
  number: number;
}

/** Tasks with the same owner and fate are one row; those that need a person come first, as the master has them. */
function rowsOf(tasks: readonly DrainedTask[]): Row[] {
  const rows = new Map<string, Row>();
  for (const task of tasks) {
    const owner = task.service ?? task.framework_name ?? task.framework ?? "";
    const key = JSON.stringify([owner, task.fate, task.node, task.why]);
    const row = rows.get(key);
    if (row) row.number += 1;
    else rows.set(key, { owner, task, number: 1 });
  }
  return [...rows.values()];
}

export function MovePreview({ node }: { node: Node }) {
  const { value: preview, problem } = useAsked(node.id, () => drainPreview(node.id));
  if (problem) return <p className="fault">What would become of its tasks cannot be told: {problem}</p>;
  if (!preview) return <Waiting words="Asking the scheduler…" height={120} />;
  if (preview.tasks.length === 0) return <p className="soft">No task runs there.</p>;
  return (
    <>
      <p>
        As things are: <strong>{preview.summary}</strong>.
      </p>
      <div className="scroll" style={{ maxHeight: 260 }} tabIndex={0} role="region" aria-label="What will move">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">{counted(preview.tasks.length + preview.left_out, "task")} there</th>
              <th scope="col" className="right">
                How many
              </th>
              <th scope="col">What becomes of them</th>
            </tr>
          </thead>
          <tbody>
            {rowsOf(preview.tasks).map(({ owner, task, number }) => (
              <tr key={task.task}>
                <td>{owner}</td>
                <td className="right number">{number}</td>
                <td>
                  <Fate task={task} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Fate({ task }: { task: DrainedTask }) {
  const why = task.why && <span className="soft">: {task.why}</span>;
  switch (task.fate) {
    case "moves":
      return (
        <>
          to {task.hostname}
          {task.why && <span className="soft">, but {task.why}</span>}
        </>
      );
    case "waits":
      return (
        <>
          <State tone="bad">nowhere yet</State>
          {why}
        </>
      );
    case "killed":
      return (
        <>
          <State tone="busy">killed</State>
          {why}
        </>
      );
    default:
      return (
        <>
          {task.fate}
          {why}
        </>
      );
  }
}
