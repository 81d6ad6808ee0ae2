// Tasks with their state; one of them with the tail of its log.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import type { Task } from "../api/types";
import { duration, shortTask, taskState } from "../lib/format";
import { useParam } from "../lib/url";
import { Panel, State, type Tone } from "../ui/primitives";

export function taskTone(task: Task): Tone {
  if (task.healthy === false) return "bad";
  switch (task.state) {
    case "TASK_RUNNING":
      return "good";
    case "TASK_STAGING":
    case "TASK_STARTING":
    case "TASK_KILLING":
      return "busy";
    case "TASK_KILLED":
    case "TASK_FINISHED":
      return "calm";
    default:
      return "bad";
  }
}

export const taskWords = (task: Task) =>
  taskState(task.state) + (task.healthy === null ? "" : task.healthy ? ", healthy" : ", unhealthy");

const rowHeight = 37;

export function Tasks({ tasks, now }: { tasks: Task[]; now: number }) {
  const [service, setService] = useParam("service");
  const [machine, setMachine] = useParam("machine");
  const [selected, select] = useParam("task");
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: tasks.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  const items = rows.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = rows.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <Panel
      title="Tasks"
      count={tasks.length}
      tools={
        <div className="filters">
          {service && <Filter words={service} onClear={() => setService(null)} />}
          {machine && <Filter words={machine} onClear={() => setMachine(null)} />}
        </div>
      }
    >
      {tasks.length === 0 ? (
        <p className="empty">{service || machine ? "No task matches." : "No task runs."}</p>
      ) : (
        <div className="scroll task-list" ref={scroller} tabIndex={0} role="region" aria-label="List of tasks">
          <table className="table" aria-rowcount={tasks.length}>
            <thead>
              <tr>
                <th scope="col">Task</th>
                <th scope="col">State</th>
                <th scope="col">Machine</th>
                <th scope="col" className="right wide">
                  Ports
                </th>
                <th scope="col" className="right wide">
                  For
                </th>
              </tr>
            </thead>
            <tbody>
              {before > 0 && <tr style={{ height: before }} aria-hidden="true" />}
              {items.map((item) => {
                const task = tasks[item.index];
                if (!task) return null;
                return (
                  <tr key={task.id} aria-selected={task.id === selected} aria-rowindex={item.index + 1}>
                    <td>
                      <button type="button" className="link" onClick={() => select(task.id)} title={task.id}>
                        {task.app ?? task.id} <span className="mono soft">{shortTask(task.id)}</span>
                      </button>
                    </td>
                    <td>
                      <State tone={taskTone(task)} title={task.message}>
                        {taskWords(task)}
                      </State>
                    </td>
                    <td>{task.hostname}</td>
                    <td className="right number wide">{task.ports.join(", ")}</td>
                    <td className="right number wide">{duration(now - (task.started_at ?? task.staged_at))}</td>
                  </tr>
                );
              })}
              {after > 0 && <tr style={{ height: after }} aria-hidden="true" />}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Filter({ words, onClear }: { words: string; onClear: () => void }) {
  return (
    <span className="chip">
      {words}
      <button type="button" aria-label={`Show tasks of more than ${words}`} onClick={onClear}>
        ×
      </button>
    </span>
  );
}
