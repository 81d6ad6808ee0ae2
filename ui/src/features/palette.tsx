// The command palette: finds any page, service, task, machine, framework and role by a few letters, and does what can be done with
// them.

import { useEffect, useMemo, useRef, useState } from "react";
import { pictureNow } from "../api/live";
import { taskName } from "../lib/format";
import { go, href } from "../lib/route";
import { best, has } from "../lib/search";
import { Dialog } from "../ui/dialog";
import { Icon, type IconName } from "../ui/icons";
import { cycleTheme } from "../ui/theme";
import * as actions from "./actions";
import { navigationNow } from "./navigation";
import { askScale } from "./services/scale";
import { ownerOf } from "./words";

interface Item {
  key: string;
  words: string;
  kind: string;
  icon: IconName;
  run: () => void;
}

const shown = 30;
/** Tasks are many: they are only looked at once enough is typed, and not all of them. */
const tasksFrom = 2;
const tasksShown = 12;

function items(query: string): Item[] {
  const picture = pictureNow();
  const list: Item[] = [];
  const add = (words: string, kind: string, icon: IconName, run: () => void, id = words) =>
    list.push({ key: `${kind} ${id}`, words, kind, icon, run });
  for (const { page, name, icon } of navigationNow()) add(name, "page", icon, () => go(href(page)));
  add("Create a service", "action", "plus", () => go(href("create")));
  add("Change the colours", "action", "auto", cycleTheme);
  for (const service of picture.services.values()) {
    add(service.id, "service", "services", () => go(href("service", { id: service.id })));
  }
  for (const node of picture.nodes.values()) {
    add(node.hostname, "machine", "machines", () => go(href("machine", { id: node.hostname })));
  }
  for (const framework of picture.frameworks.values()) {
    if (framework.state !== "completed")
      add(framework.name, "framework", "frameworks", () => go(href("framework", { id: framework.id })), framework.id);
  }
  for (const role of picture.roles.keys()) add(role, "role", "roles", () => go(href("roles", { role })));
  // Actions show once they are asked for: there are several for each thing.
  if (query.trim()) {
    for (const service of picture.services.values()) {
      const { id } = service;
      add(`Scale ${id}`, "action", "services", () => void askScale(service));
      add(`Restart ${id}`, "action", "services", () => void actions.restart(service));
      add(`Edit ${id}`, "action", "services", () => go(href("edit", { id })));
      add(`Why is ${id} as it is`, "action", "services", () => go(href("service", { id, tab: "placement" })));
      if (service.instances > 0) add(`Suspend ${id}`, "action", "services", () => void actions.suspend(service));
      add(`Delete ${id}`, "action", "services", () => void actions.remove(service));
    }
    for (const node of picture.nodes.values()) {
      const add_ = (verb: string, order: Parameters<typeof actions.orderMachine>[1]) =>
        add(`${verb} ${node.hostname}`, "action", "machines", () => void actions.orderMachine(node, order));
      if (node.state === "active") {
        add_("Drain", "drain");
        add_("Deactivate", "deactivate");
      } else add_("Reactivate", "reactivate");
    }
  }
  // What there is comes before what can be done with it.
  const [things, deeds] = [list.filter(({ kind }) => kind !== "action"), list.filter(({ kind }) => kind === "action")];
  const found = (query.trim() ? [things, deeds] : [list]).flatMap((list) => best(query, list, (item) => item.words, shown));
  if (query.trim().length < tasksFrom) return found;
  const fits = has(query);
  let tasks = 0;
  for (const task of picture.tasks.values()) {
    if (tasks === tasksShown) break;
    if (!fits(`${task.id} ${task.framework_task ?? ""} ${ownerOf(task)} ${task.hostname}`)) continue;
    tasks += 1;
    const words = `${ownerOf(task)} ${taskName(task)} on ${task.hostname}`.trimStart();
    found.push({
      key: task.id,
      words,
      kind: "task",
      icon: "tasks",
      run: () => go(href("task", { id: task.id, on: task.hostname })),
    });
  }
  return found;
}

export function Palette({ onClose }: { onClose: () => void }) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const found = useMemo(() => items(query), [query]);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const run = (item: Item | undefined) => {
    if (!item) return;
    onClose();
    // After the dialog has given the focus back.
    setTimeout(item.run, 0);
  };
  const move = (by: number) => setAt((at) => (found.length ? (at + by + found.length) % found.length : 0));
  return (
    <Dialog label="Find or do anything" className="palette" onClose={onClose}>
      <div className="palette-field">
        <Icon name="search" />
        <input
          autoFocus
          role="combobox"
          aria-expanded={found.length > 0}
          aria-controls="palette-list"
          aria-activedescendant={found[at] ? `palette-${at}` : undefined}
          aria-label="A page, service, task, machine, or what to do"
          placeholder="A page, service, task, machine, or what to do…"
          value={query}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => {
            setQuery(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") move(1);
            else if (event.key === "ArrowUp") move(-1);
            else if (event.key === "Enter") run(found[at]);
            else return;
            event.preventDefault();
          }}
        />
        <button type="button" className="palette-close" onClick={onClose}>
          <span className="hidden">Close</span>
          <kbd className="wide">Esc</kbd>
          <span className="narrow">
            <Icon name="close" />
          </span>
        </button>
      </div>
      {found.length > 0 ? (
        <>
          <ul id="palette-list" role="listbox" aria-label="Found" ref={list}>
            {found.map((item, index) => (
              <li
                key={item.key}
                id={`palette-${index}`}
                role="option"
                aria-selected={index === at}
                onClick={() => run(item)}
                onPointerMove={() => setAt(index)}
              >
                <Icon name={item.icon} />
                <span className="cut">{item.words}</span>
                <span className="kind">{item.kind}</span>
              </li>
            ))}
          </ul>
          {query.trim() !== "" && found.length >= shown && <p className="none more">More may fit: type more of it.</p>}
        </>
      ) : (
        <div className="none">
          <p>Nothing fits “{query}”.</p>
          <p className="small">
            Names of services, machines, frameworks, roles and tasks are searched, those of pages, and what can be done,
            such as “scale”.
          </p>
        </div>
      )}
    </Dialog>
  );
}
