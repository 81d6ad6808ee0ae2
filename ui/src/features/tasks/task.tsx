// One task: how it is and was, and its output as it grows.

import { useEffect, useState } from "react";
import * as api from "../../api/client";
import type { Picture } from "../../api/picture";
import type { HealthResult, Task } from "../../api/types";
import { bytes, clock, cpus, moment, shortTask, taskState } from "../../lib/format";
import { useParam } from "../../lib/route";
import { Icon } from "../../ui/icons";
import { Link } from "../../ui/link";
import { PageHead, Panel, State } from "../../ui/primitives";
import { Since } from "../../ui/time";
import type { Tone } from "../../ui/tone";
import { kill } from "../actions";
import { isOver, TaskState } from "../words";
import { Log } from "./log";

export function TaskPage({ id, picture }: { id: string; picture: Picture }) {
  const [on, setOn] = useParam("on");
  const known = picture.tasks.get(id) ?? picture.ended.get(id);
  const [asked, setAsked] = useState<Task | null>(null);
  const [missing, setMissing] = useState(false);
  // While the tasks of a large cluster are still being read, one of them can be asked for by itself.
  const { complete } = picture;
  useEffect(() => {
    if (known) return;
    if (complete) return setMissing(true);
    let current = true;
    api.task(id).then(
      (task) => current && setAsked(task),
      () => current && setMissing(true),
    );
    return () => {
      current = false;
    };
  }, [id, known, complete]);
  const task = known ?? asked;
  const live = picture.tasks.has(id) || (task !== null && !picture.ended.has(id));
  return (
    <>
      <Head id={id} task={task} live={live} />
      {task ? (
        <>
          {task.message && task.state !== "TASK_RUNNING" && (
            <p className={`notice ${/FAILED|ERROR|LOST|GONE|DROPPED/.test(task.state) ? "bad" : ""}`}>{task.message}</p>
          )}
          <div className="columns uneven">
            <Output id={id} node={task.hostname} />
            <div className="stack">
              <Facts task={task} />
              <History task={task} picture={picture} ended={picture.ended.has(id)} />
              {task.health.length > 0 && <Checks results={task.health} />}
            </div>
          </div>
        </>
      ) : (
        missing && (
          <>
            <div className="notice">
              <span>It has ended and is forgotten; its output may still be on its machine.</span>
              <label className="row small">
                Machine
                <select value={on ?? ""} onChange={(event) => setOn(event.target.value || null)}>
                  <option value="">choose…</option>
                  {[...picture.nodes.values()].map((node) => (
                    <option key={node.id}>{node.hostname}</option>
                  ))}
                </select>
              </label>
            </div>
            {on && <Output id={id} node={on} />}
          </>
        )
      )}
    </>
  );
}

function Head({ id, task, live }: { id: string; task: Task | null; live: boolean }) {
  return (
    <PageHead
      title={<span className="mono">{shortTask(id)}</span>}
      crumbs={
        <>
          <li>
            <Link to="tasks">Tasks</Link>
          </li>
          {task?.app && (
            <li>
              <Link to="service" params={{ id: task.app }}>
                {task.app}
              </Link>
            </li>
          )}
        </>
      }
      state={task && (live ? <TaskState task={task} /> : <State tone="calm">ended</State>)}
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
          {cpus(task.cpus_milli)} cpus, {bytes(task.mem)}
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

/** What is known of its states: when it was assigned and began to run, and what was seen while the console was open. */
function History({ task, picture, ended }: { task: Task; picture: Picture; ended: boolean }) {
  const seen = picture.journal.filter((entry) => entry.kind === "task" && entry.subject === task.id);
  const moments: { at: number; words: string; tone: Tone }[] = [{ at: task.staged_at, words: `staged on ${task.hostname}`, tone: "calm" }];
  if (task.started_at) moments.push({ at: task.started_at, words: "began to run", tone: "good" });
  for (const { at, words, tone } of seen) {
    // What the task itself tells needs not be told twice.
    if (!/^(staging|running)\b/.test(words)) moments.push({ at, words, tone });
  }
  const last = moments.at(-1);
  const now = taskState(task.state);
  if (seen.length === 0 && task.state !== "TASK_RUNNING" && task.state !== "TASK_STAGING") {
    moments.push({ at: task.updated_at, words: now, tone: "calm" });
  }
  moments.sort((a, b) => a.at - b.at);
  return (
    <Panel title="History">
      <ol className="timeline">
        {moments.map((moment_, index) => (
          <li key={index}>
            <time className="number soft" dateTime={new Date(moment_.at).toISOString()} title={moment(moment_.at)}>
              {clock(moment_.at)}
            </time>
            <State tone={moment_.tone}>
              <span className="wrap" style={{ whiteSpace: "normal" }}>
                {moment_.words}
              </span>
            </State>
          </li>
        ))}
      </ol>
      {ended && last && <p className="pad soft small" style={{ paddingTop: 0 }}>The master has forgotten it.</p>}
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

function Output({ id, node }: { id: string; node: string | null }) {
  const [param, setFile] = useParam("file");
  const file = param === "stderr" ? "stderr" : "stdout";
  return (
    <Panel
      title="Output"
      tools={
        <span className="row">
          <span className="choice" role="group" aria-label="Which output">
            {(["stdout", "stderr"] as const).map((name) => (
              <button key={name} type="button" aria-pressed={name === file} onClick={() => setFile(name === "stderr" ? name : null, true)}>
                {name}
              </button>
            ))}
          </span>
          <a className="button plain" href={api.logPath(id, file, node)} download={`${shortTask(id)}.${file}.txt`}>
            <Icon name="download" /> Download
          </a>
        </span>
      }
    >
      <Log key={`${id} ${file}`} task={id} file={file} node={node} />
    </Panel>
  );
}
