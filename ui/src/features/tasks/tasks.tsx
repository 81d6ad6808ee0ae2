// All tasks, filtered by words and state.

import { useDeferredValue, useMemo } from "react";
import type { Picture } from "../../api/picture";
import type { Task } from "../../api/types";
import { count } from "../../lib/format";
import { useParam } from "../../lib/route";
import { has } from "../../lib/search";
import type { Tone } from "../../ui/tone";
import { Chip, Choice, Empty, PageHead, Search } from "../../ui/primitives";
import { Link } from "../../ui/link";
import { manyTasks, useSettled } from "../../ui/settled";
import { ownerOf, taskTone, taskWords } from "../words";
import { EndedList } from "./ended";
import { TaskTable } from "./table";

const choices: readonly (readonly [Tone | "all", string])[] = [
  ["all", "All"],
  ["bad", "In trouble"],
  ["busy", "On their way"],
  ["good", "Running"],
];
const allChoices: readonly (readonly [Tone | "all" | "ended", string])[] = [...choices, ["ended", "Ended"]];

export function Tasks({ picture }: { picture: Picture }) {
  const [query, setQuery] = useParam("q");
  const [state, setState] = useParam("state");
  const [service, setService] = useParam("service");
  const [machine, setMachine] = useParam("machine");
  const over = state === "ended";
  const which = choices.find(([tone]) => tone === state)?.[0] ?? "all";
  // With 100,000 tasks filtering and sorting take longer than a letter: typing goes first.
  const tasks = useSettled(picture.tasks, picture.complete && picture.tasks.size > manyTasks);
  const words = useDeferredValue(query ?? "");
  const shown = useMemo(() => {
    const fits = has(words);
    const matches = (task: Task) =>
      (!service || task.app === service) &&
      (!machine || task.hostname === machine) &&
      (which === "all" || taskTone(task) === which) &&
      (!words || fits(`${task.id} ${task.framework_task ?? ""} ${ownerOf(task)} ${task.hostname} ${taskWords(task)} ${task.ports.join(" ")}`));
    return [...tasks.values()].filter(matches);
  }, [tasks, words, service, machine, which]);
  const filtered = Boolean(query || service || machine || which !== "all");
  return (
    <>
      <PageHead
        title="Tasks"
        count={over ? undefined : filtered ? `${count(shown.length)} of ${count(picture.tasks.size)}` : count(picture.tasks.size)}
      />
      <div className="filters">
        <Search
          label="Filter by id, owner, machine, port"
          value={query ?? ""}
          onChange={(value) => setQuery(value, true)}
        />
        <Choice
          label="Which"
          value={over ? "ended" : which}
          options={allChoices}
          onChange={(value) => setState(value === "all" ? null : value)}
        />
        {service && <Chip words={service} onClear={() => setService(null)} />}
        {machine && <Chip words={machine} onClear={() => setMachine(null)} />}
        {!picture.complete && !over && (
          <span className="soft small" role="status">
            still reading…
          </span>
        )}
      </div>
      {over ? (
        <EndedList
          picture={picture}
          wanted={{ ...(service && { app: service }), ...(machine && { node: machine }), ...(words && { q: words }) }}
        />
      ) : (
      <div className="panel">
        {shown.length === 0 ? (
          <Empty>
            {filtered ? (
              <>
                <p>No task matches.</p>
                <Link to="tasks" className="button">
                  Show all
                </Link>
              </>
            ) : (
              <>
                <p>No task runs. Tasks are the instances of services, and what frameworks start.</p>
                <Link to="create" className="button">
                  Create a service
                </Link>
              </>
            )}
          </Empty>
        ) : (
          <TaskTable label="Tasks" tasks={shown} />
        )}
      </div>
      )}
    </>
  );
}
