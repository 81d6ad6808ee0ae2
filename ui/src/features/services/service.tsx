// One service: how it is and why, its instances, versions, events, definition; and what can be done with it.

import { useEffect, useMemo } from "react";
import { useAsked } from "../../api/asked";
import { endedTasks } from "../../api/past";
import type { Picture } from "../../api/picture";
import type { Service, Task } from "../../api/types";
import { brief, bytes, counted, cpuWords, duration } from "../../lib/format";
import { useParam, type Params } from "../../lib/route";
import { groupsOf } from "../../lib/tree";
import { Link, showChosen, showTabs } from "../../ui/link";
import { Empty, PageHead, Panel } from "../../ui/primitives";
import { Since, useNow } from "../../ui/time";
import * as actions from "../actions";
import { PastEntries } from "../entries";
import { NotThere } from "../not-there";
import { Progresses } from "../progress";
import { Ended } from "../tasks/ended";
import { TaskTable } from "../tasks/table";
import { Instances, isWaiting, ServiceState } from "../words";
import { Definition } from "./definition";
import { Placement } from "./placement";
import { askScale } from "./scale";
import { Usage } from "./usage";
import { Versions } from "./versions";

const tabs = [
  ["instances", "Instances"],
  ["usage", "Usage"],
  ["placement", "Placement"],
  ["versions", "Versions"],
  ["events", "Events"],
  ["definition", "Definition"],
] as const;

export function ServicePage({ id, picture }: { id: string; picture: Picture }) {
  const [param] = useParam("tab");
  const service = picture.services.get(id);
  const tasks = useMemo(() => [...picture.tasks.values()].filter((task) => task.app === id), [picture.tasks, id]);
  if (!service) return <Unknown id={id} />;
  const tab = tabs.find(([name]) => name === param)?.[0] ?? "instances";
  // Why it waits is told by its placement, in a panel of its own or below its tab.
  const waits = isWaiting(service) && !isDelayed(service);
  const under = service.deployments.flatMap((id) => picture.deployments.get(id) ?? []);
  return (
    <>
      <Head service={service} picture={picture} />
      <Condition service={service} />
      {under.length > 0 && <Progresses deployments={under} detail told={waits} />}
      {waits && tab !== "placement" && <Placement service={service} />}
      <Facts service={service} tasks={tasks} />
      <nav className="tabs" ref={showChosen} aria-label="About the service">
        {tabs.map(([name, words]) => {
          const params: Params = { id, tab: name === "instances" ? null : name };
          return (
            <Link key={name} to="service" params={params} aria-current={name === tab ? "page" : undefined}>
              {words}
            </Link>
          );
        })}
      </nav>
      <Tab tab={tab} service={service} tasks={tasks} picture={picture} waits={waits} />
      {tab === "instances" && <Ended picture={picture} wanted={{ app: id }} without="app" />}
    </>
  );
}

/** Only its failures hold it back, and those are told already. */
const isDelayed = ({ failing, waiting_for }: Service) =>
  (failing !== null || /because of failures/.test(waiting_for ?? "")) && !/for a place/.test(waiting_for ?? "");

function Tab(props: {
  tab: (typeof tabs)[number][0];
  service: Service;
  tasks: readonly Task[];
  picture: Picture;
  /** Why it waits is told above. */
  waits: boolean;
}) {
  const { tab, service, tasks, picture, waits } = props;
  switch (tab) {
    case "placement":
      return <Placement service={service} />;
    case "usage":
      return <Usage service={service} />;
    case "versions":
      return <Versions service={service} />;
    case "events":
      return (
        <Panel title="Events">
          <PastEntries
            picture={picture}
            wanted={{ q: service.id }}
            fits={(entry) => entry.services.includes(service.id)}
          />
        </Panel>
      );
    case "definition":
      return <Definition key={service.version} id={service.id} />;
    default:
      return (
        <Panel title="Instances" count={tasks.length}>
          {tasks.length === 0 ? (
            <Empty>
              {service.instances === 0 ? (
                <>
                  <p>It is suspended: it asks for no instances.</p>
                  <button type="button" className="button" onClick={() => askScale(service)}>
                    Scale up
                  </button>
                </>
              ) : (
                <p>
                  {service.failing
                    ? "None runs now: they end again and again, and the next attempt is delayed."
                    : waits
                      ? "None runs yet: why is told above."
                      : "None runs yet; if it does not start soon, why is told above."}
                </p>
              )}
            </Empty>
          ) : (
            <TaskTable label={`Instances of ${service.id}`} tasks={tasks} without="app" short />
          )}
        </Panel>
      );
  }
}

function Head({ service, picture }: { service: Service; picture: Picture }) {
  const { id } = service;
  return (
    <PageHead
      title={id.split("/").at(-1)}
      crumbs={
        <>
          <li>
            <Link to="services">Services</Link>
          </li>
          {groupsOf(id).map((group) => (
            <li key={group}>
              <Link to="services" params={{ group }}>
                {group.split("/").at(-1)}
              </Link>
            </li>
          ))}
        </>
      }
      state={<ServiceState service={service} deployments={picture.deployments} />}
    >
      <button type="button" className="button" onClick={() => askScale(service)}>
        Scale
      </button>
      <Link to="edit" params={{ id }} className="button">
        Edit
      </Link>
      <button
        type="button"
        className="button"
        disabled={service.instances === 0}
        onClick={() => void actions.restart(service)}
      >
        Restart
      </button>
      <button
        type="button"
        className="button"
        disabled={service.instances === 0}
        onClick={() => void actions.suspend(service)}
      >
        Suspend
      </button>
      <button type="button" className="button danger" onClick={() => void actions.remove(service)}>
        Delete
      </button>
    </PageHead>
  );
}

/** What is wrong, if something is. */
function Condition({ service }: { service: Service }) {
  const now = useNow();
  const { failing, last_failure, last_failure_at, health } = service;
  if (failing) {
    return (
      <div className="notice bad">
        <span>
          {/* Only what changes seldom is read aloud. */}
          <span role="status">
            Fails again and again: <strong>{brief(failing.last)}</strong>.
          </span>{" "}
          {counted(failing.count, "time")} in {duration(now - failing.since)}; the next attempt waits{" "}
          {duration(failing.delay_ms)}.
        </span>
        <span className="actions">
          <LastOutput service={service} />
          <button type="button" className="button" onClick={() => void actions.endDelay(service.id)}>
            Try again now
          </button>
          <Link to="service" params={{ id: service.id, tab: "versions" }} className="button" onClick={showTabs}>
            Earlier versions
          </Link>
        </span>
      </div>
    );
  }
  if (!last_failure || health === "healthy" || health === "suspended") return null;
  return (
    <p className={`notice ${health === "unhealthy" ? "bad" : ""}`}>
      <span>
        Last failure
        {last_failure_at && (
          <>
            {" "}
            <Since at={last_failure_at} ago />
          </>
        )}
        : {brief(last_failure)}
      </span>
      <span className="actions">
        <LastOutput service={service} />
      </span>
    </p>
  );
}

/** The way to what the instance wrote that failed last: the first thing one wants to see. */
function LastOutput({ service }: { service: Service }) {
  const { value, again } = useAsked(service.id, () => endedTasks({ app: service.id, limit: 1 }));
  // Not asked as another question: the button stays while the answer comes.
  useEffect(again, [service.last_failure_at, again]);
  const task = value?.tasks[0];
  if (!task) return null;
  return (
    <Link to="task" params={{ id: task.id, on: task.hostname }} className="button">
      What it wrote
    </Link>
  );
}

function Facts({ service, tasks }: { service: Service; tasks: readonly Task[] }) {
  const machines = new Set(tasks.map((task) => task.hostname)).size;
  return (
    <section className="panel" aria-label="At a glance">
      <dl className="glance">
        <div>
          <dt>Running</dt>
          <dd>
            <Instances service={service} />
          </dd>
        </div>
        <div>
          <dt>Health checks</dt>
          <dd className="number">
            {service.healthy + service.unhealthy === 0 ? "none" : `${service.healthy} of ${service.running} pass`}
          </dd>
        </div>
        <div>
          <dt>Each instance</dt>
          <dd className="number">
            {cpuWords(service.cpus_milli)}, {bytes(service.mem)}
          </dd>
        </div>
        <div>
          <dt>All together</dt>
          <dd className="number">
            {cpuWords(service.cpus_milli * service.instances)}, {bytes(service.mem * service.instances)}
          </dd>
        </div>
        <div>
          <dt>On</dt>
          <dd className="number">{counted(machines, "machine")}</dd>
        </div>
        <div>
          <dt>Changed</dt>
          <dd>
            <Since at={service.version} ago />
          </dd>
        </div>
        {service.role && (
          <div>
            <dt>Role</dt>
            <dd>
              <Link to="roles" params={{ role: service.role }}>
                {service.role === "*" ? "* (everybody)" : service.role}
              </Link>
            </dd>
          </div>
        )}
        {Object.keys(service.labels ?? {}).length > 0 && (
          <div className="glance-wide">
            <dt>Labels</dt>
            <dd className="tags">
              {Object.entries(service.labels ?? {}).map(([name, value]) => (
                <Link
                  key={name}
                  className="tag"
                  to="services"
                  params={{ q: `${name}=${value}` }}
                  title={`All services with ${name}=${value}`}
                >
                  {name}
                  {value && `=${value}`}
                </Link>
              ))}
            </dd>
          </div>
        )}
        <div className="glance-wide">
          <dt>Runs</dt>
          <dd className="mono lines-3" title={service.command}>
            {service.command || "its image"}
          </dd>
        </div>
      </dl>
    </section>
  );
}

/** One that is not there, or not there any more. */
export function Unknown({ id }: { id: string }) {
  return (
    <NotThere
      title={id || "No service"}
      crumbs={
        <li>
          <Link to="services">Services</Link>
        </li>
      }
      words={`There is no service ${id}. It may have been deleted.`}
    >
      <Link to="services" className="button">
        All services
      </Link>
      <Link to="create" params={{ as: id }} className="button">
        Create it
      </Link>
    </NotThere>
  );
}
