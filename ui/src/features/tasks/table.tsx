// Tasks in a table, wherever they are listed.

import { useMemo } from "react";
import type { Task } from "../../api/types";
import { brief, bytes, cpus, exitWords, taskName } from "../../lib/format";
import { Link } from "../../ui/link";
import { Table, type Column } from "../../ui/table";
import { Since } from "../../ui/time";
import { Owner, ownerOf, TaskState, taskWords } from "../words";

const begun = (task: Task) => task.started_at ?? task.staged_at;

const app: Column<Task> = {
  key: "app",
  head: "Belongs to",
  by: ownerOf,
  cell: (task) => <Owner task={task} />,
};

const node: Column<Task> = {
  key: "machine",
  head: "Machine",
  wide: true,
  by: (task) => task.hostname,
  cell: (task) => (
    <Link to="machine" params={{ id: task.hostname }}>
      {task.hostname}
    </Link>
  ),
};

const rest = {
  task: {
    key: "task",
    head: "Task",
    by: (task) => task.framework_task ?? task.id,
    cell: (task) => (
      <Link to="task" params={{ id: task.id, on: task.hostname }} title={task.framework_task ?? task.id} className="mono">
        {taskName(task)}
      </Link>
    ),
  },
  state: {
    key: "state",
    head: "State",
    by: taskWords,
    cell: (task) => <TaskState task={task} />,
  },
  ports: {
    key: "ports",
    head: "Ports",
    right: true,
    wide: true,
    cell: (task) => task.ports.join(", "),
  },
  cpus: {
    key: "cpus",
    head: "CPU",
    right: true,
    wide: true,
    by: (task) => task.cpus_milli,
    cell: (task) => cpus(task.cpus_milli),
  },
  mem: {
    key: "mem",
    head: "Memory",
    right: true,
    wide: true,
    by: (task) => task.mem,
    cell: (task) => bytes(task.mem),
  },
  since: {
    key: "since",
    head: "Age",
    right: true,
    wide: true,
    by: (task) => -begun(task),
    cell: (task) => <Since at={begun(task)} />,
  },
  last: {
    key: "last",
    head: "Last words",
    wide: true,
    width: "40%",
    cell: (task) => (
      <span className="soft lines-1" title={task.message}>
        {lastWords(task)}
      </span>
    ),
  },
  ended: {
    key: "ended",
    head: "Ended",
    right: true,
    by: (task) => -(task.ended_at ?? task.updated_at),
    cell: (task) => <Since at={task.ended_at ?? task.updated_at} ago />,
  },
} satisfies Record<string, Column<Task>>;

const lastWords = (task: Task) => brief(task.message) || (task.exit ? exitWords(task.exit) : "");

/** On a phone there is no place for last words but below something else. */
const withWords = (column: Column<Task>): Column<Task> => ({
  ...column,
  cell: (task) => (
    <>
      {column.cell(task)}
      {lastWords(task) && <span className="narrow lines-3">{lastWords(task)}</span>}
    </>
  ),
});

/** On a phone, where else. */
const withMachine = (column: Column<Task>): Column<Task> => ({
  ...column,
  cell: (task) => (
    <>
      {column.cell(task)}
      <span className="narrow lines-3">{[task.hostname, ...task.ports].join(" ")}</span>
    </>
  ),
});

/** On a phone there is place for whose it is only below the task. */
const withOwner = (column: Column<Task>): Column<Task> => ({
  ...column,
  cell: (task) => (
    <>
      {column.cell(task)}
      {ownerOf(task) && <span className="narrow lines-3">{ownerOf(task)}</span>}
      {lastWords(task) && <span className="narrow lines-3">{lastWords(task)}</span>}
    </>
  ),
});

interface Listed {
  label: string;
  tasks: readonly Task[];
  /** The page's own subject needs no column. */
  without?: "app" | "machine";
  short?: boolean;
  param?: string;
}

/** Of tasks that have ended, the newest first. */
export function EndedTable(props: Listed) {
  const { without } = props;
  const columns = useMemo(
    () => [
      ...(without === "app"
        ? [rest.task, withWords(rest.state)]
        : [withOwner(rest.task), { ...app, wide: true }, rest.state]),
      ...(without === "machine" ? [] : [node]),
      rest.last,
      rest.ended,
    ],
    [without],
  );
  return (
    <div className="past">
      <Listing param="ended" {...props} columns={columns} first="ended" />
    </div>
  );
}

export function TaskTable(props: Listed) {
  const { without } = props;
  const columns = useMemo(
    () => [
      ...(without === "app" ? [withMachine(rest.task)] : [rest.task, app]),
      rest.state,
      ...(without === "machine" ? [] : [node]),
      rest.ports,
      rest.cpus,
      rest.mem,
      rest.since,
    ],
    [without],
  );
  return <Listing {...props} columns={columns} first={without === "app" ? "since" : "app"} />;
}

function Listing({ tasks, without: _, ...table }: Listed & { columns: Column<Task>[]; first: string }) {
  return <Table {...table} rows={tasks} rowKey={(task) => task.id} />;
}
