// The first page: machines, services, tasks, one task.

import { useEffect, useMemo, useState } from "react";
import { usePicture } from "./api/live";
import { totals } from "./api/picture";
import type { Node, Task } from "./api/types";
import { Machines } from "./features/machines";
import { Services } from "./features/services";
import { TaskDetail } from "./features/task";
import { Tasks } from "./features/tasks";
import { bytes, cpus } from "./lib/format";
import { useParam } from "./lib/url";
import { Bar } from "./ui/primitives";

export function App() {
  const picture = usePicture();
  const now = useNow();
  const [service] = useParam("service");
  const [machine] = useParam("machine");
  const [task] = useParam("task");

  const nodes = useMemo(
    () => [...picture.nodes.values()].sort((a, b) => a.hostname.localeCompare(b.hostname, "en", { numeric: true })),
    [picture.nodes],
  );
  const services = useMemo(
    () => [...picture.services.values()].sort((a, b) => a.id.localeCompare(b.id)),
    [picture.services],
  );
  const tasks = useMemo(
    () =>
      [...picture.tasks.values()]
        .filter((item) => matches(item, service, machine))
        .sort((a, b) => (a.app ?? "").localeCompare(b.app ?? "") || a.staged_at - b.staged_at || a.id.localeCompare(b.id)),
    [picture.tasks, service, machine],
  );

  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="top">
        <h1 className="brand">
          <img src="/ui/logo.svg" alt="" /> Hansa
        </h1>
        {picture.cluster && <Gauges nodes={nodes} />}
      </header>
      <main id="main">
        {picture.problem && (
          <p className="notice bad" role="alert">
            {picture.problem}
          </p>
        )}
        {picture.alarms[0] && (
          <p className="notice bad" role="alert">
            {picture.alarms[0].message}
          </p>
        )}
        {!picture.cluster ? (
          !picture.problem && <p className="notice soft">Reading the cluster…</p>
        ) : (
          <>
            <Machines nodes={nodes} />
            <div className="columns">
              <Services services={services} deployments={picture.deployments} now={now} />
              <div className="stack">
                {task && <TaskDetail id={task} task={picture.tasks.get(task)} now={now} />}
                <Tasks tasks={tasks} now={now} />
              </div>
            </div>
          </>
        )}
      </main>
    </>
  );
}

const matches = (task: Task, service: string | null, machine: string | null) =>
  (!service || task.app === service) && (!machine || task.hostname === machine);

function Gauges({ nodes }: { nodes: Node[] }) {
  const sums = totals(nodes);
  return (
    <div className="gauges">
      <div className="gauge">
        <span className="soft">CPU</span>
        <span className="number">
          {cpus(sums.allocated.cpus_milli)} of {cpus(sums.total.cpus_milli)}
        </span>
        <Bar label="CPU of all machines" allocated={sums.allocated.cpus_milli} used={sums.used.cpus_milli} total={sums.total.cpus_milli} />
      </div>
      <div className="gauge">
        <span className="soft">Memory</span>
        <span className="number">
          {bytes(sums.allocated.mem)} of {bytes(sums.total.mem)}
        </span>
        <Bar label="Memory of all machines" allocated={sums.allocated.mem} used={sums.used.mem} total={sums.total.mem} />
      </div>
    </div>
  );
}

/** The time, renewed every second, for "how long ago". */
function useNow() {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
