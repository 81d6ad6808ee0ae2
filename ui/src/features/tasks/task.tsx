// One task: how it is and was, its output as it grows, its files, a terminal beside it, what it uses.

import { useRef } from "react";
import { useAsked } from "../../api/asked";
import * as api from "../../api/client";
import { taskStates } from "../../api/past";
import type { Picture } from "../../api/picture";
import type { HealthResult, Task } from "../../api/types";
import { bytes, clock, cpuWords, exitWords, moment, shortTask, taskName, taskState } from "../../lib/format";
import { useParam } from "../../lib/route";
import { Icon } from "../../ui/icons";
import { Link, showChosen } from "../../ui/link";
import { Empty, PageHead, Panel, State, Waiting } from "../../ui/primitives";
import { Since } from "../../ui/time";
import { kill } from "../actions";
import { byName } from "../machines/cells";
import { isOver, Owner, ownerOf, stateTone, TaskState } from "../words";
import { Files } from "./files";
import { Log } from "./log";
import { TaskTerminal } from "./terminal";
import { TaskUsage } from "./usage";

const tabs = [
  ["output", "Output"],
  ["files", "Files"],
  ["terminal", "Terminal"],
  ["usage", "Usage"],
] as const;

export function TaskPage({ id, picture }: { id: string; picture: Picture }) {
  const [on, setOn] = useParam("on");
  const [param] = useParam("tab");
  const running = picture.tasks.get(id);
  const known = running ?? picture.ended.get(id);
  // One that the picture does not have may have ended before the console was opened, or is still to be read.
  const asked = useAsked(`${id} ${Boolean(known)}`, () => (known ? Promise.resolve(known) : api.task(id)));
  const task = known ?? asked.value;
  const live = running !== undefined || (task !== null && !isOver(task));
  const node = task?.hostname ?? on;
  const tab = tabs.find(([name]) => name === param)?.[0] ?? "output";
  const missing = !task && asked.problem !== null;
  return (
    <>
      <Head id={id} task={task} live={live} />
      {task && toldAbove(task) && (
        <div className={`notice ${failed(task.state) ? "bad" : ""}`}>
          <p className="sentence">{toldAbove(task)}</p>
        </div>
      )}
      {missing && (
        <section className="panel">
          <Empty>
            <p>
              This task is not known, or no longer. What it wrote may still be on its machine, for some time: choose the
              machine that it was on.
            </p>
            <div className="row">
              <select
                aria-label="Machine that it was on"
                value={on ?? ""}
                onChange={(event) => setOn(event.target.value || null)}
              >
                <option value="">Machine…</option>
                {[...picture.nodes.values()].sort(byName).map((node) => (
                  <option key={node.id}>{node.hostname}</option>
                ))}
              </select>
              <Link to="tasks" className="button">
                All tasks
              </Link>
            </div>
          </Empty>
        </section>
      )}
      {(task || (missing && on)) && (
        <div className="columns uneven">
          <div className="stack">
            <nav className="tabs" ref={showChosen} aria-label="About the task">
              {tabs
                .filter(([name]) => task || name === "output" || name === "files")
                .map(([name, words]) => (
                  <Link
                    key={name}
                    to="task"
                    params={{ id, on: node, tab: name === "output" ? null : name }}
                    aria-current={name === tab ? "page" : undefined}
                  >
                    {words}
                  </Link>
                ))}
            </nav>
            {tab === "output" && <Output id={id} node={node} crashed={task !== null && failed(task.state)} ended={!live} />}
            {tab === "files" && <Files task={id} node={node} />}
            {tab === "terminal" && <TaskTerminal task={id} runs={task?.state === "TASK_RUNNING" && live} />}
            {tab === "usage" && task && <TaskUsage task={task} />}
          </div>
          {task && (
            <div className="stack">
              <Facts task={task} />
              <States task={task} />
              {task.health.length > 0 && <Checks results={task.health} />}
            </div>
          )}
        </div>
      )}
    </>
  );
}

/** Its last words, unless it runs. */
const toldAbove = ({ message, state }: Task) => (state === "TASK_RUNNING" ? "" : message);

const failed = (state: string) => /FAILED|ERROR|LOST|GONE|DROPPED/.test(state);

function Head({ id, task, live }: { id: string; task: Task | null; live: boolean }) {
  return (
    <PageHead
      title={<span className="mono">{taskName(task ?? { id })}</span>}
      crumbs={
        <>
          <li>
            <Link to="tasks">Tasks</Link>
          </li>
          {task && ownerOf(task) && (
            <li>
              <Owner task={task} />
            </li>
          )}
        </>
      }
      state={task && <TaskState task={task} />}
    >
      {task && live && !isOver(task) && task.app && (
        <>
          <button type="button" className="button danger" onClick={() => void kill(task, false)}>
            Kill
          </button>
          <button type="button" className="button danger" onClick={() => void kill(task, true)}>
            Kill and scale down
          </button>
        </>
      )}
    </PageHead>
  );
}

function Facts({ task }: { task: Task }) {
  return (
    <Panel title="Task">
      <dl className="facts">
        {task.framework_task && (
          <>
            <dt>Name</dt>
            <dd className="mono">{task.framework_task}</dd>
          </>
        )}
        <dt>Id</dt>
        <dd className="mono">{task.id}</dd>
        <dt>Machine</dt>
        <dd>
          <Link to="machine" params={{ id: task.hostname }}>
            {task.hostname}
          </Link>
        </dd>
        <dt>Has</dt>
        <dd className="number">
          {cpuWords(task.cpus_milli)}, {bytes(task.mem)}
        </dd>
        {task.ports.length > 0 && (
          <>
            <dt>{task.ports.length === 1 ? "Port" : "Ports"}</dt>
            <dd className="number">{task.ports.join(", ")}</dd>
          </>
        )}
        {task.version !== null && (
          <>
            <dt>Version</dt>
            <dd className="number">{moment(task.version)}</dd>
          </>
        )}
        {task.ended_at && (
          <>
            <dt>Ended</dt>
            <dd>
              <Since at={task.ended_at} ago />
              {task.exit && `, ${exitWords(task.exit)}`}
            </dd>
          </>
        )}
        {task.reason && (
          <>
            <dt>Reason</dt>
            <dd>{taskState(task.reason.replace("REASON_", ""))}</dd>
          </>
        )}
      </dl>
    </Panel>
  );
}

/** A state that others followed waits for nobody; what went wrong in it stays told. */
const toneThen = (state: string, healthy: boolean | null, last: boolean) => {
  const tone = stateTone(state, healthy);
  return last || tone === "bad" ? tone : "calm";
};

/** The states that it was in; asked for again whenever it has another. */
function States({ task }: { task: Task }) {
  const { id, state, healthy } = task;
  const { value, problem } = useAsked(`${id} ${state} ${healthy}`, () => taskStates(id));
  const before = useRef(value);
  if (value) before.current = value;
  const states = value ?? before.current;
  // What stands above all is not said again.
  const told = toldAbove(task);
  return (
    <Panel title="States">
      {!states ? (
        problem ? (
          <p className="pad soft">{problem}</p>
        ) : (
          <Waiting height={90} />
        )
      ) : (
        <ol className="timeline">
          {states.map(({ at, state, message, healthy, exit }, index) => (
            <li key={index}>
              <time className="number soft" dateTime={new Date(at).toISOString()} title={moment(at)}>
                {clock(at)}
              </time>
              <div>
                <State tone={toneThen(state, healthy, index === states.length - 1)}>
                  {taskState(state)}
                  {healthy !== null && (healthy ? ", healthy" : ", unhealthy")}
                  {exit && `, ${exitWords(exit)}`}
                </State>
                {message && message !== told && <p className="soft small wrap">{message}</p>}
              </div>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

function Checks({ results }: { results: readonly HealthResult[] }) {
  return (
    <Panel title="Health checks" count={results.length}>
      {results.map((result, index) => (
        <dl className="facts" key={index}>
          <dt>Check {index + 1}</dt>
          <dd>
            <State tone={result.alive === null ? "calm" : result.alive ? "good" : "bad"}>
              {result.alive === null ? "not decided yet" : result.alive ? "healthy" : "unhealthy"}
            </State>
          </dd>
          {result.last_success !== null && (
            <>
              <dt>Last success</dt>
              <dd>
                <Since at={result.last_success} ago />
              </dd>
            </>
          )}
          {result.last_failure !== null && (
            <>
              <dt>Last failure</dt>
              <dd>
                <Since at={result.last_failure} ago />
                {result.last_failure_cause && `: ${result.last_failure_cause}`}
              </dd>
            </>
          )}
          {result.consecutive_failures > 0 && (
            <>
              <dt>In a row</dt>
              <dd className="number">{result.consecutive_failures}</dd>
            </>
          )}
        </dl>
      ))}
    </Panel>
  );
}

/** Of one that failed the errors are looked at first. */
function Output(props: { id: string; node: string | null; crashed: boolean; ended: boolean }) {
  const { id, node, crashed, ended } = props;
  const [param, setFile] = useParam("file");
  const file = param === "stderr" || param === "stdout" ? param : crashed ? "stderr" : "stdout";
  const other = file === "stderr" ? "stdout" : "stderr";
  return (
    <Panel
      title="Output"
      tools={
        <span className="row">
          <span className="choice" role="group" aria-label="Which output">
            {(["stdout", "stderr"] as const).map((name) => (
              <button
                key={name}
                type="button"
                aria-pressed={name === file}
                onClick={() => setFile(name, true)}
              >
                {name}
              </button>
            ))}
          </span>
          <a className="button plain" href={api.logPath(id, file, { node: node })} download={`${shortTask(id).replace("…", "-")}.${file}.txt`}>
            <Icon name="download" /> Download
          </a>
        </span>
      }
    >
      <Log
        key={`${id} ${file}`}
        task={id}
        file={file}
        node={node}
        other={other}
        onOther={() => setFile(other, true)}
        ended={ended}
      />
    </Panel>
  );
}
