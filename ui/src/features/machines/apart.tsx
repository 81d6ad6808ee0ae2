// What of a machine anybody may have, and what of it is set apart: reservations by role, volumes that stay, disks of their own.

import { useEffect, type ReactNode } from "react";
import { useAsked } from "../../api/asked";
import { node as nodeDetail } from "../../api/client";
import { pictureNow } from "../../api/live";
import type { Node, NodeDetail, NodeVolume, Portion, Reservation } from "../../api/types";
import { amount, bytes, taskName } from "../../lib/format";
import { inWords, kindNames, kinds, type Kind } from "../../lib/sums";
import { Link } from "../../ui/link";
import { Bar, Panel, Sheet, State, Waiting } from "../../ui/primitives";
import { FrameworkLink } from "../words";

/** Offers come and go without a word. */
const renewed = 10_000;

export function Apart({ node }: { node: Node }) {
  const { value, problem, again } = useAsked(
    node.id,
    () => nodeDetail(node.id),
    () => renewed,
  );
  useEffect(again, [again, node.tasks, node.allocated]);
  if (!value) {
    return (
      <Panel title="Who may have it">
        {problem ? <p className="pad fault">{problem}</p> : <Waiting height={160} />}
      </Panel>
    );
  }
  return (
    <>
      <Shares node={value} />
      {value.volumes.length > 0 && <Volumes volumes={value.volumes} />}
      {value.disks.length > 0 && <Disks disks={value.disks} />}
    </>
  );
}

/** `8000–8090, 9000`. */
const ranges = (ports: Portion["total"]["ports"]) =>
  ports.map(([first, last]) => (first === last ? first : `${first}–${last}`)).join(", ");

function Shares({ node }: { node: NodeDetail }) {
  const portions = [node.unreserved, ...node.reservations];
  const shown = kinds.filter((kind) => portions.some(({ total }) => total[kind] > 0));
  const ports = node.reservations.some(({ total }) => total.ports.length > 0);
  return (
    <Panel
      title="Who may have it"
      tools={
        <span className="legend wide">
          <span className="key used">tasks have it</span>
          <span className="key">or frameworks are offered it</span>
        </span>
      }
    >
      <Sheet label="Anybody and role by role">
        <thead>
          <tr>
            <th scope="col">Kept for</th>
            {shown.map((kind) => (
              <th scope="col" key={kind} className="wide" style={{ width: "18%" }}>
                {kindNames[kind]}
              </th>
            ))}
            {ports && (
              <th scope="col" className="wide">
                Ports
              </th>
            )}
            <th scope="col">Kept by</th>
          </tr>
        </thead>
        <tbody>
          <Share
            name="anybody"
            who={<span className="soft">nobody</span>}
            portion={node.unreserved}
            shown={shown}
            ports={ports}
          />
          {node.reservations.map((one, index) => (
            <Share key={index} name={one.role} who={<Maker of={one} />} portion={one} shown={shown} ports={ports} />
          ))}
        </tbody>
      </Sheet>
      {node.reservations.length === 0 && (
        <p className="pad soft small">
          Nothing of it is kept for a role. Frameworks and operators reserve resources, and so does a machine's own
          configuration.
        </p>
      )}
    </Panel>
  );
}

interface ShareProps {
  name: string;
  who: ReactNode;
  portion: Portion;
  shown: readonly Kind[];
  ports: boolean;
}

function Share({ name, who, portion, shown, ports }: ShareProps) {
  const { total, used, offered } = portion;
  const taken = inWords(used);
  return (
    <tr>
      <td>
        {name === "anybody" ? (
          name
        ) : (
          <Link to="roles" params={{ role: name }} className="wrap">
            {name}
          </Link>
        )}
        <p className="narrow number">
          {inWords(total) || "nothing"}
          {taken && `; tasks have ${taken}`}
        </p>
      </td>
      {shown.map((kind) => (
        <td key={kind} className="wide">
          {total[kind] === 0 ? (
            <span className="soft">none</span>
          ) : (
            <div className="stack" style={{ gap: 4 }}>
              <span className="number">
                {amount(kind, used[kind])} <span className="soft">of</span> {amount(kind, total[kind])}
                {offered[kind] > 0 && (
                  <span className="soft">
                    , <span style={{ whiteSpace: "nowrap" }}>{amount(kind, offered[kind])} offered</span>
                  </span>
                )}
              </span>
              <Bar
                label={`${kindNames[kind]} kept for ${name}`}
                allocated={used[kind] + offered[kind]}
                used={used[kind]}
                total={total[kind]}
              />
            </div>
          )}
        </td>
      ))}
      {ports && <td className="wide number">{ranges(total.ports)}</td>}
      <td>{who}</td>
    </tr>
  );
}

function Maker({ of: { kind, within, principal, labels } }: { of: Reservation }) {
  return (
    <>
      {kind === "static" ? "the machine's configuration" : (principal ?? "a framework or an operator")}
      {within.length > 0 && <span className="soft">, out of {within.join(" / ")}</span>}
      {labels.length > 0 && (
        <span className="tags">
          {labels.map(({ key, value }, index) => (
            <span key={index} className="tag">
              {key}
              {value && `=${value}`}
            </span>
          ))}
        </span>
      )}
    </>
  );
}

function Volumes({ volumes }: { volumes: readonly NodeVolume[] }) {
  return (
    <Panel title="Volumes that stay when their tasks end" count={volumes.length}>
      <Sheet label="Volumes">
        <thead>
          <tr>
            <th scope="col">Volume</th>
            <th scope="col" className="wide">
              Kept for
            </th>
            <th scope="col" className="right">
              Size
            </th>
            <th scope="col" className="wide">
              In the sandbox
            </th>
            <th scope="col" className="wide">
              On disk
            </th>
            <th scope="col">Who has it</th>
          </tr>
        </thead>
        <tbody>
          {volumes.map((volume) => (
            <tr key={`${volume.role} ${volume.id}`}>
              <td>
                <span className="mono">{volume.id}</span>
                <p className="narrow">for {volume.role}</p>
              </td>
              <td className="wide">
                <Link to="roles" params={{ role: volume.role }}>
                  {volume.role}
                </Link>
              </td>
              <td className="right number">{bytes(volume.size)}</td>
              <td className="wide mono wrap">{volume.container_path}</td>
              <td className="wide wrap">
                {volume.disk ? <code>{volume.disk.root}</code> : <span className="soft">the agent's own</span>}
              </td>
              <td>
                <Holder volume={volume} />
              </td>
            </tr>
          ))}
        </tbody>
      </Sheet>
    </Panel>
  );
}

function Holder({ volume: { state, framework, tasks } }: { volume: NodeVolume }) {
  if (state === "free") return <span className="soft">nobody</span>;
  const link = framework && <FrameworkLink id={framework} />;
  if (state === "offered") return <State tone="calm">offered{link && <span>to {link}</span>}</State>;
  return (
    <State tone="good">
      <span style={{ whiteSpace: "normal" }}>
        {tasks.length === 0
          ? link
          : tasks.map((task, index) => (
              <span key={task}>
                {index > 0 && ", "}
                <Link to="task" params={{ id: task }} className="mono wrap" title={task}>
                  {taskName(pictureNow().tasks.get(task) ?? { id: task })}
                </Link>
              </span>
            ))}
      </span>
    </State>
  );
}

const kindsOfDisk = { path: "a directory: volumes share it", mount: "had as a whole or not at all" } as const;

function Disks({ disks }: { disks: NodeDetail["disks"] }) {
  return (
    <Panel title="Disks besides the agent's own" count={disks.length}>
      <Sheet label="Disks">
        <thead>
          <tr>
            <th scope="col">Disk</th>
            <th scope="col" className="wide">
              Kind
            </th>
            <th scope="col">Had or offered</th>
            <th scope="col" className="right">
              Size
            </th>
            <th scope="col" className="right wide">
              Kept for roles
            </th>
          </tr>
        </thead>
        <tbody>
          {disks.map(({ root, kind, size, reserved, used, offered }) => (
            <tr key={`${kind} ${root}`}>
              <td className="mono">{root}</td>
              <td className="wide">{kindsOfDisk[kind]}</td>
              <td>
                <div className="with-bar">
                  <Bar label={`Disk ${root}`} allocated={used + offered} used={null} total={size} />
                  <span className="number">{bytes(used + offered)}</span>
                </div>
              </td>
              <td className="right number">{bytes(size)}</td>
              <td className="right number wide">{bytes(reserved)}</td>
            </tr>
          ))}
        </tbody>
      </Sheet>
    </Panel>
  );
}
