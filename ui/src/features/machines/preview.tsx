// What will move when a machine is emptied, and where to: asked of the master, which tries it without doing it.

import { useAsked } from "../../api/asked";
import { drainPreview } from "../../api/client";
import type { DrainPreview, Node } from "../../api/types";
import { counted } from "../../lib/format";
import { State, Waiting } from "../../ui/primitives";

/** Services that are told one by one. */
const most = 20;

interface Group {
  service: string;
  tasks: number;
  /** Where to, by name, and how many. */
  to: ReadonlyMap<string, number>;
  /** Why not, for those that would wait. */
  stuck: { tasks: number; words: string } | null;
}

export function MovePreview({ node }: { node: Node }) {
  const { value, problem } = useAsked(node.id, () => drainPreview(node.id));
  if (problem) return <p className="soft">What would move where is not known: {problem}</p>;
  if (!value) return <Waiting words="Asking where its tasks would go…" height={120} />;
  if (value.tasks === 0) return <p className="soft">No task runs there.</p>;
  const groups = grouped(value);
  return (
    <>
      <p className={value.stuck > 0 ? "fault" : "soft"}>{value.words}</p>
      <div className="scroll" style={{ maxHeight: 260 }} tabIndex={0} role="region" aria-label="What will move">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col" className="right">
                Tasks
              </th>
              <th scope="col">Would go to</th>
            </tr>
          </thead>
          <tbody>
            {groups.slice(0, most).map((group) => (
              <tr key={group.service}>
                <td>{group.service || "of frameworks"}</td>
                <td className="right number">{group.tasks}</td>
                <td>
                  <Target group={group} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {groups.length > most && <p className="pad soft">and {counted(groups.length - most, "service")} more</p>}
      </div>
    </>
  );
}

function grouped({ moves }: DrainPreview): Group[] {
  const groups = new Map<string, { tasks: number; to: Map<string, number>; stuck: Group["stuck"] }>();
  for (const { service, to_hostname, words } of moves) {
    const group = groups.get(service ?? "") ?? { tasks: 0, to: new Map<string, number>(), stuck: null };
    groups.set(service ?? "", group);
    group.tasks += 1;
    if (to_hostname) group.to.set(to_hostname, (group.to.get(to_hostname) ?? 0) + 1);
    else group.stuck = { tasks: (group.stuck?.tasks ?? 0) + 1, words };
  }
  return [...groups]
    .map(([service, group]) => ({ service, ...group }))
    .sort((a, b) => Number(b.stuck !== null) - Number(a.stuck !== null) || b.tasks - a.tasks);
}

function Target({ group: { service, to, stuck } }: { group: Group }) {
  const places = [...to].sort((a, b) => b[1] - a[1]);
  const words = places
    .slice(0, 3)
    .map(([name, tasks]) => (tasks > 1 ? `${name} (${tasks})` : name))
    .join(", ");
  return (
    <>
      {words}
      {places.length > 3 && ` and ${counted(places.length - 3, "other machine")}`}
      {stuck &&
        (service ? (
          <State tone="bad">
            <span className="wrap" style={{ whiteSpace: "normal" }}>
              {stuck.tasks > 1 && `${stuck.tasks} would wait: `}
              {stuck.words || "nowhere now: it would wait"}
            </span>
          </State>
        ) : (
          <span className="soft">{stuck.words || "its framework decides"}</span>
        ))}
    </>
  );
}
