// A terminal in a task's container: opened by hand, as it starts a program there.

import { useEffect, useId, useRef, useState } from "react";
import type { TerminalEnd } from "../../api/sandbox";
import { Icon } from "../../ui/icons";
import { Empty, Panel, State } from "../../ui/primitives";
import { toast } from "../../ui/toast";
import type { Session } from "./terminal-view";

interface Opened {
  /** Tells one from the next. */
  number: number;
  command: string;
  readAloud: boolean;
}

export function TaskTerminal({ task, runs }: { task: string; runs: boolean }) {
  const [command, setCommand] = useState("");
  const [readAloud, setReadAloud] = useState(false);
  const [opened, setOpened] = useState<Opened | null>(null);
  const id = useId();
  if (!runs && !opened) {
    return (
      <Panel title="Terminal">
        <Empty>
          <p>A terminal needs a task that runs. What this one has written is under Output and Files.</p>
        </Empty>
      </Panel>
    );
  }
  if (opened) {
    return (
      <Shown
        key={opened.number}
        task={task}
        opened={opened}
        runs={runs}
        onAgain={() => setOpened({ ...opened, number: opened.number + 1 })}
        onOther={() => setOpened(null)}
      />
    );
  }
  return (
    <Panel title="Terminal">
      <form
        className="pad stack"
        style={{ gap: 12, maxWidth: 560 }}
        onSubmit={(event) => {
          event.preventDefault();
          setOpened({ number: 1, command: command.trim(), readAloud });
        }}
      >
        <p className="soft">Runs a program beside the task, in its container, with the same files and limits.</p>
        <div className="field">
          <label htmlFor={id}>Command</label>
          <input
            id={id}
            className="mono"
            value={command}
            placeholder="a shell"
            spellCheck={false}
            autoComplete="off"
            aria-describedby={`${id}-help`}
            onChange={(event) => setCommand(event.target.value)}
          />
          <span className="help" id={`${id}-help`}>
            empty: bash if the container has it, else sh
          </span>
        </div>
        <label className="check">
          <input type="checkbox" checked={readAloud} onChange={(event) => setReadAloud(event.target.checked)} />
          <span>For a screen reader: what is written is read aloud</span>
        </label>
        <div>
          <button type="submit" className="button main">
            <Icon name="terminal" /> Open
          </button>
        </div>
      </form>
    </Panel>
  );
}

interface ShownProps {
  task: string;
  opened: Opened;
  runs: boolean;
  onAgain: () => void;
  onOther: () => void;
}

function Shown({ task, opened, runs, onAgain, onOther }: ShownProps) {
  const box = useRef<HTMLDivElement>(null);
  const session = useRef<Session | null>(null);
  const [state, setState] = useState<"loading" | "open" | "over">("loading");
  const [end, setEnd] = useState<TerminalEnd | null>(null);
  const { command, readAloud } = opened;
  useEffect(() => {
    let current = true;
    import("./terminal-view").then(
      ({ open }) => {
        if (!current || !box.current) return;
        session.current = open(
          box.current,
          task,
          command,
          readAloud,
          () => setState("open"),
          (end) => {
            setEnd(end);
            setState("over");
          },
        );
      },
      () => {
        if (!current) return;
        setEnd({ error: { message: "The terminal could not be loaded from the master." } });
        setState("over");
      },
    );
    return () => {
      current = false;
      session.current?.close();
      session.current = null;
    };
  }, [task, command, readAloud]);
  const copy = () => {
    if (!session.current?.copy()) toast("Nothing is selected in the terminal");
  };
  return (
    <Panel
      title="Terminal"
      tools={
        <span className="row">
          <span role="status">
            {state === "loading" && <State tone="busy">connecting</State>}
            {state === "open" && <State tone="good">{command || "shell"}</State>}
            {state === "over" && <Ending end={end} />}
          </span>
          <button type="button" className="button plain" onClick={copy}>
            <Icon name="copy" /> Copy
          </button>
          {state === "over" && runs && (
            <button type="button" className="button" onClick={onAgain}>
              Open again
            </button>
          )}
          <button type="button" className="button plain" onClick={onOther}>
            Close
          </button>
        </span>
      }
    >
      <div className="terminal" ref={box} role="group" aria-label="Terminal in the task's container" />
      {state === "over" && end?.error && (
        <p className="pad fault">
          {end.error.message}
          {end.error.remedy && <span className="soft"> {end.error.remedy}</span>}
        </p>
      )}
      <p className="pad soft small">
        <kbd>Shift</kbd> <kbd>Tab</kbd> leaves it by keyboard. <kbd>Ctrl</kbd> <kbd>Shift</kbd> <kbd>C</kbd> copies,{" "}
        <kbd>Ctrl</kbd> <kbd>Shift</kbd> <kbd>V</kbd> pastes.
      </p>
    </Panel>
  );
}

function Ending({ end }: { end: TerminalEnd | null }) {
  if (end?.error) return <State tone="bad">not possible</State>;
  if (!end?.exit) return <State tone="bad">connection lost</State>;
  if ("signal" in end.exit) return <State tone="busy">ended by signal {end.exit.signal}</State>;
  return <State tone={end.exit.code === 0 ? "good" : "busy"}>ended with status {end.exit.code}</State>;
}
