// One task: what it is, and the tail of its output as it grows.

import { useEffect, useRef, useState } from "react";
import { followLog, logPath } from "../api/client";
import type { Task } from "../api/types";
import { bytes, cpus, duration } from "../lib/format";
import { useParam } from "../lib/url";
import { Choice, Panel, State } from "../ui/primitives";
import { taskTone, taskWords } from "./tasks";

/** Characters of log that are kept on the page. */
const kept = 200_000;

export function TaskDetail({ id, task, now }: { id: string; task: Task | undefined; now: number }) {
  const [, select] = useParam("task");
  const [param, setFile] = useParam("file");
  const file = param === "stderr" ? "stderr" : "stdout";
  return (
    <Panel
      title="Task"
      className="task"
      tools={
        <button type="button" className="chip" onClick={() => select(null)}>
          Close
        </button>
      }
    >
      <div className="facts">
        <p className="mono wrap">{id}</p>
        {task ? (
          <p>
            <State tone={taskTone(task)}>{taskWords(task)}</State> on {task.hostname} for{" "}
            <span className="number">{duration(now - (task.started_at ?? task.staged_at))}</span>,{" "}
            <span className="number">
              {cpus(task.cpus_milli)} cpus, {bytes(task.mem)}
            </span>
            {task.ports.length > 0 && (
              <>
                , {task.ports.length === 1 ? "port" : "ports"} <span className="number">{task.ports.join(", ")}</span>
              </>
            )}
          </p>
        ) : (
          <p className="soft">It has ended and is forgotten; its output may still be on its machine.</p>
        )}
        {task?.message && <p className="soft">{task.message}</p>}
      </div>
      <div className="log-tools">
        <Choice
          label="Output"
          value={file}
          options={[
            ["stdout", "stdout"],
            ["stderr", "stderr"],
          ]}
          onChange={(value) => setFile(value === "stderr" ? value : null)}
        />
        <a href={logPath(id, file)} target="_blank" rel="noreferrer">
          Whole file
        </a>
      </div>
      <Log key={`${id} ${file}`} task={id} file={file} />
    </Panel>
  );
}

function Log({ task, file }: { task: string; file: "stdout" | "stderr" }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);

  useEffect(() => {
    const abort = new AbortController();
    const add = (more: string) => setText((text) => (text + more).slice(-kept));
    followLog(task, file, add, abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) setProblem(error instanceof Error ? error.message : String(error));
    });
    return () => abort.abort();
  }, [task, file]);

  // Stay at the end while the reader is there; stay put once they scroll up.
  useEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);

  return (
    <pre
      className="log"
      ref={box}
      tabIndex={0}
      aria-label={`${file} of the task`}
      onScroll={(event) => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        atEnd.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {text || <span className="soft">{problem ?? "No output yet."}</span>}
    </pre>
  );
}
