// Services with their health, and why one waits.

import { useEffect, useState } from "react";
import { explain } from "../api/client";
import { trouble } from "../api/picture";
import type { Explanation, Health, Progress, Service } from "../api/types";
import { bytes, cpus, duration } from "../lib/format";
import { useParam } from "../lib/url";
import { Panel, State, type Tone } from "../ui/primitives";

const tones: Record<Health, Tone> = {
  healthy: "good",
  deploying: "busy",
  waiting: "busy",
  unhealthy: "bad",
  suspended: "calm",
};

type Deployments = ReadonlyMap<string, Progress>;

export function Services(props: { services: Service[]; deployments: Deployments; now: number }) {
  const { services, deployments, now } = props;
  const [selected, select] = useParam("service");
  return (
    <Panel title="Services" count={services.length}>
      {services.length === 0 ? (
        <p className="empty">
          Nothing runs yet. Start something:
          <code>hansa app run app.json</code>
        </p>
      ) : (
        <div className="scroll">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Service</th>
                <th scope="col">State</th>
                <th scope="col" className="right">
                  Running
                </th>
                <th scope="col" className="right wide">
                  Each
                </th>
                <th scope="col" className="wide">
                  Version
                </th>
              </tr>
            </thead>
            <tbody>
              {services.map((service) => (
                <tr key={service.id} aria-selected={selected === service.id}>
                  <td>
                    <button
                      type="button"
                      className="link"
                      aria-pressed={selected === service.id}
                      onClick={() => select(selected === service.id ? null : service.id)}
                    >
                      {service.id}
                    </button>
                    <Detail service={service} now={now} open={selected === service.id} />
                  </td>
                  <td>
                    <Condition service={service} deployments={deployments} />
                  </td>
                  <td className="right number">
                    {service.running} / {service.instances}
                  </td>
                  <td className="right number wide">
                    {cpus(service.cpus_milli)} cpus, {bytes(service.mem)}
                  </td>
                  <td className="wide number soft" title={new Date(service.version).toISOString()}>
                    {duration(now - service.version)} old
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

/** The service's health, or that its deployment is paused, or that something of it fails again and again. */
function Condition({ service, deployments }: { service: Service; deployments: Deployments }) {
  const word = trouble(service, deployments);
  if (!word) return <State tone={tones[service.health]}>{service.health}</State>;
  return <State tone={word === "paused" ? "calm" : "bad"}>{word}</State>;
}

function Detail({ service, now, open }: { service: Service; now: number; open: boolean }) {
  const waits = service.health === "waiting" || (service.health === "deploying" && service.running < service.instances);
  return (
    <>
      {service.waiting_for && !(open && waits) && <p className="soft note">{service.waiting_for}</p>}
      {service.failing && (
        <p className="note">
          Fails again and again: {service.failing.count} times in {duration(now - service.failing.since)}, last:{" "}
          {service.failing.last}. The next attempt waits {duration(service.failing.delay_ms)}.
        </p>
      )}
      {service.last_failure && !service.failing && (open || service.health === "unhealthy") && (
        <p className="note">
          Last failure{service.last_failure_at && ` ${duration(now - service.last_failure_at)} ago`}:{" "}
          {service.last_failure}
        </p>
      )}
      {open && <p className="soft note mono">{service.command}</p>}
      {open && waits && <Why service={service.id} />}
    </>
  );
}

/** Why instances find no place, from a placement pass over the cluster as it is now. */
function Why({ service }: { service: string }) {
  const [answer, setAnswer] = useState<Explanation | null>(null);
  useEffect(() => {
    let current = true;
    explain(service).then(
      (explanation) => current && setAnswer(explanation),
      () => current && setAnswer(null),
    );
    return () => {
      current = false;
    };
  }, [service]);
  if (!answer) return null;
  return (
    <div className="note">
      {answer.fitting > 0 ? (
        <p className="soft">
          One more instance would fit on {answer.fitting} of {answer.machines} machines; {service} waits for its launch
          delay, or for its deployment.
        </p>
      ) : (
        <ul className="why">
          {answer.groups.map((group) => (
            <li key={group.words}>
              <span className="number">{group.machines}</span> {group.machines === 1 ? "machine" : "machines"}:{" "}
              {group.words}
            </li>
          ))}
        </ul>
      )}
      {answer.fitting === 0 && answer.nearest && <p className="soft">Nearest: {answer.nearest}</p>}
    </div>
  );
}
