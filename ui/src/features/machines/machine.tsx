// One machine: how full it is, what runs there, what it is; and taking it out of service.

import { useEffect, useMemo, useState } from "react";
import { images, wordsOf } from "../../api/client";
import { useFreshUsage } from "../../api/live";
import type { Picture } from "../../api/picture";
import type { Image, Node } from "../../api/types";
import { bytes, counted, cpuWords, moment } from "../../lib/format";
import { useParam } from "../../lib/route";
import { totalOf } from "../../lib/sums";
import { Link, showChosen } from "../../ui/link";
import { Empty, PageHead, Panel, Sheet, Waiting } from "../../ui/primitives";
import { Since } from "../../ui/time";
import { orderMachine } from "../actions";
import { PastEntries } from "../entries";
import { Meters, SpanChoice, usePast } from "../history";
import { NotThere } from "../not-there";
import { TaskTable } from "../tasks/table";
import { MachineState } from "../words";
import { Apart } from "./apart";

const tabs = [
  ["tasks", "Tasks"],
  ["resources", "Resources"],
  ["about", "About"],
  ["images", "Images"],
  ["events", "Events"],
] as const;

export function Machine({ id, picture }: { id: string; picture: Picture }) {
  useFreshUsage(id);
  const [param] = useParam("tab");
  const node = useMemo(
    () => [...picture.nodes.values()].find((node) => node.hostname === id || node.id === id),
    [picture.nodes, id],
  );
  const tasks = useMemo(
    () => [...picture.tasks.values()].filter((task) => task.node === node?.id),
    [picture.tasks, node?.id],
  );
  const crumbs = (
    <li>
      <Link to="machines">Machines</Link>
    </li>
  );
  if (!node) {
    return (
      <NotThere title={id} crumbs={crumbs} words={`There is no machine ${id}. It may have been declared gone.`}>
        <Link to="machines" className="button">
          All machines
        </Link>
      </NotThere>
    );
  }
  const tab = tabs.find(([name]) => name === param)?.[0] ?? "tasks";
  return (
    <>
      <PageHead title={node.hostname} crumbs={crumbs} state={<MachineState node={node} />}>
        <SpanChoice />
        {node.state === "active" ? (
          <>
            <button type="button" className="button" onClick={() => void orderMachine(node, "drain")}>
              Drain
            </button>
            <button type="button" className="button" onClick={() => void orderMachine(node, "deactivate")}>
              Deactivate
            </button>
          </>
        ) : (
          (node.state === "draining" || node.state === "deactivated") && (
            <button type="button" className="button main" onClick={() => void orderMachine(node, "reactivate")}>
              Reactivate
            </button>
          )
        )}
        <button type="button" className="button danger" onClick={() => void orderMachine(node, "gone")}>
          Declare gone
        </button>
      </PageHead>
      {node.state === "draining" && (
        <p className="notice busy">
          {node.tasks
            ? `${counted(node.tasks, "task")} still there; each leaves once its replacement runs elsewhere. Where none has a place, its service tells under Placement.`
            : "It is empty and can be taken away."}
        </p>
      )}
      {node.missing_isolation.length > 0 && (
        <p className="notice busy">Less isolated than it could be: {node.missing_isolation.join("; ")}</p>
      )}
      <Full node={node} />
      <nav className="tabs" ref={showChosen} aria-label="About the machine">
        {tabs.map(([name, words]) => (
          <Link
            key={name}
            to="machine"
            params={{ id, tab: name === "tasks" ? null : name }}
            aria-current={name === tab ? "page" : undefined}
          >
            {words}
          </Link>
        ))}
      </nav>
      {tab === "tasks" && (
        <Panel title="Tasks there" count={tasks.length}>
          {tasks.length === 0 ? (
            <Empty>
              <p>No task runs there.</p>
            </Empty>
          ) : (
            <TaskTable label={`Tasks on ${node.hostname}`} tasks={tasks} without="machine" short />
          )}
        </Panel>
      )}
      {tab === "resources" && <Apart node={node} />}
      {tab === "about" && <About node={node} />}
      {tab === "images" && <Images node={node} />}
      {tab === "events" && (
        <Panel title="Events">
          <PastEntries
            picture={picture}
            wanted={{ q: node.hostname, only: "node" }}
            fits={(entry) => entry.kind === "machine" && entry.subject === node.hostname}
          />
        </Panel>
      )}
    </>
  );
}

function Full({ node }: { node: Node }) {
  return <Meters total={totalOf(node)} allocated={node.allocated} used={node.used} past={usePast(`node:${node.id}`)} />;
}

function About({ node }: { node: Node }) {
  const { machine } = node;
  const ports = node.total.ports.map(([first, last]) => (first === last ? first : `${first}–${last}`)).join(", ");
  return (
    <Panel title="About">
      <dl className="facts">
        <dt>Agent</dt>
        <dd className="mono">{node.id}</dd>
        <dt>Address</dt>
        <dd className="mono">{node.address}</dd>
        <dt>Version</dt>
        <dd>{node.version || <span className="soft">not told</span>}</dd>
        <dt>Joined</dt>
        <dd className="number">{moment(node.registered_at)}</dd>
        <dt>State</dt>
        <dd>
          {node.state} for <Since at={node.since} />
        </dd>
        {(node.region || node.zone) && (
          <>
            <dt>Region, zone</dt>
            <dd>{[node.region, node.zone].filter(Boolean).join(", ")}</dd>
          </>
        )}
        <dt>Attributes</dt>
        <dd>
          {Object.keys(node.attributes).length === 0 ? (
            <span className="soft">none</span>
          ) : (
            <span className="tags">
              {Object.entries(node.attributes).map(([name, value]) => (
                <Link key={name} className="tag" to="machines" params={{ q: `${name}=${value}` }}>
                  {name}={value}
                </Link>
              ))}
            </span>
          )}
        </dd>
        <dt>Ports for tasks</dt>
        <dd className="number">{ports || "none"}</dd>
        {machine && (
          <>
            <dt>The whole machine</dt>
            <dd className="number">
              uses {cpuWords(machine.cpus_milli)} and {bytes(machine.mem)}, by Hansa's tasks and by all else
            </dd>
          </>
        )}
      </dl>
    </Panel>
  );
}

function Images({ node }: { node: Node }) {
  const [found, setFound] = useState<Image[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    images(node.id).then(
      ({ images, silent }) => {
        if (!current) return;
        setFound(images);
        setProblem(silent[0]?.why ?? null);
      },
      (error: unknown) => current && setProblem(wordsOf(error)),
    );
    return () => {
      current = false;
    };
  }, [node.id]);
  return (
    <Panel title="Container images" {...(found && !problem && { count: found.length })}>
      {problem && <p className="pad fault">Which there are is not known: {problem}</p>}
      {!found && !problem && <Waiting />}
      {found?.length === 0 && !problem && (
        <Empty>
          <p>None. Images are pulled when a task needs them, and kept for the next.</p>
        </Empty>
      )}
      {found && found.length > 0 && (
        <Sheet label="Images there">
          <thead>
            <tr>
              <th scope="col">Image</th>
              <th scope="col" className="right">
                Size
              </th>
              <th scope="col" className="right">
                Tasks
              </th>
              <th scope="col" className="right wide">
                Used
              </th>
            </tr>
          </thead>
          <tbody>
            {found.map((image) => (
              <tr key={image.digest}>
                <td className="mono wrap">{image.references.join(", ") || image.digest}</td>
                <td className="right number">{bytes(image.bytes)}</td>
                <td className="right number">{image.used_by.length}</td>
                <td className="right number wide">
                  <Since at={image.used_at} ago />
                </td>
              </tr>
            ))}
          </tbody>
        </Sheet>
      )}
    </Panel>
  );
}
