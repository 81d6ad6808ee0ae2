// Tasks that have ended, as far as the master remembers them; newest first.

import { useEffect, useRef, useState } from "react";
import { useAsked } from "../../api/asked";
import { wordsOf } from "../../api/client";
import { endedTasks } from "../../api/past";
import type { Picture } from "../../api/picture";
import type { Task } from "../../api/types";
import { count, counted } from "../../lib/format";
import { Link } from "../../ui/link";
import { Empty, Panel, Waiting } from "../../ui/primitives";
import { EndedTable } from "./table";

const page = 100;

/** Of what a page has to say it is the last: so many, until somebody wants more. */
const few = 12;

interface Wanted {
  app?: string;
  node?: string;
  q?: string;
}

/** Reads the first of them again when one ends that belongs here. */
function useEnded(picture: Picture, wanted: Wanted) {
  const belongs = (task: Task) =>
    (!wanted.app || task.app === wanted.app) && (!wanted.node || task.node === wanted.node);
  let newest = "";
  for (const task of picture.ended.values()) if (belongs(task)) newest = task.id;
  const { app = "", node = "", q = "" } = wanted;
  const first = useAsked(`${app} ${node} ${q}`, () => endedTasks({ ...wanted, limit: page }));
  const seen = useRef(newest);
  useEffect(() => {
    if (seen.current === newest) return;
    seen.current = newest;
    first.again();
  }, [newest, first.again]);
  const [more, setMore] = useState<{ of: unknown; tasks: Task[]; next: string | null } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const mine = more?.of === first.value ? more : null;
  const next = mine ? mine.next : (first.value?.next ?? null);
  const readMore = async () => {
    try {
      const answer = await endedTasks({ ...wanted, limit: page, ...(next && { after: next }) });
      setMore({ of: first.value, tasks: [...(mine?.tasks ?? []), ...answer.tasks], next: answer.next });
    } catch (error) {
      setProblem(wordsOf(error));
    }
  };
  const tasks = first.value ? [...first.value.tasks, ...(mine?.tasks ?? [])] : null;
  return { tasks, next, readMore, problem: problem ?? first.problem };
}

/** On the page of what they belonged to; nothing if there are none. */
export function Ended(props: { picture: Picture; wanted: Wanted; without: "app" | "machine" }) {
  const { tasks, next, readMore, problem } = useEnded(props.picture, props.wanted);
  const [all, setAll] = useState(false);
  if (problem) return <p className="notice bad">{problem}</p>;
  if (!tasks || tasks.length === 0) return null;
  const cut = !all && tasks.length > few + 3;
  return (
    <Panel title="Ended" {...(!next && { count: tasks.length })}>
      <EndedTable label="Tasks that ended" tasks={cut ? tasks.slice(0, few) : tasks} without={props.without} short />
      {cut ? (
        <div className="pad">
          <button type="button" className="button" onClick={() => setAll(true)}>
            {next ? "More" : `All ${count(tasks.length)}`}
          </button>
        </div>
      ) : (
        next && <More onClick={readMore} />
      )}
    </Panel>
  );
}

/** As a page's only content. */
export function EndedList({ picture, wanted }: { picture: Picture; wanted: Wanted }) {
  const { tasks, next, readMore, problem } = useEnded(picture, wanted);
  return (
    <div className="panel">
      {problem ? (
        <p className="pad fault">{problem}</p>
      ) : !tasks ? (
        <Waiting height={200} />
      ) : tasks.length === 0 ? (
        <Empty>
          {wanted.q || wanted.app || wanted.node ? (
            <>
              <p>No task that ended and is remembered matches.</p>
              <Link to="tasks" params={{ state: "ended" }} className="button">
                Show all that ended
              </Link>
            </>
          ) : (
            <p>No task that ended is remembered. Those that end stand here for some time, with their last words.</p>
          )}
        </Empty>
      ) : (
        <>
          <EndedTable label={`${counted(tasks.length, "task")} that ended`} tasks={tasks} />
          {next && <More onClick={readMore} />}
        </>
      )}
    </div>
  );
}

const More = ({ onClick }: { onClick: () => Promise<void> }) => (
  <div className="pad">
    <button type="button" className="button" onClick={() => void onClick()}>
      Earlier
    </button>
  </div>
);
