// Deployments under way: where each is, what it waits for, what would help, and its steps.

import { useEffect, useState } from "react";
import * as api from "../api/client";
import type { Deployment, MarathonDeployment, Progress } from "../api/types";
import { Icon } from "../ui/icons";
import { Link } from "../ui/link";
import { Panel, State } from "../ui/primitives";
import { Since } from "../ui/time";
import type { Tone } from "../ui/tone";
import { orderDeployment } from "./actions";

export function Progresses({ deployments, detail = false }: { deployments: readonly Progress[]; detail?: boolean }) {
  return (
    <Panel title="Under way" count={deployments.length}>
      <ul>
        {deployments.map((deployment) => (
          <li key={deployment.id} className="progress">
            <DeploymentProgress progress={deployment} detail={detail} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const tones: Record<Progress["state"], Tone> = {
  running: "busy",
  paused: "busy",
  failing: "bad",
  succeeded: "good",
  failed: "bad",
};

/** What the lists tell beyond the stream; read anew when the stream says that the deployment moved. */
function useDetail(progress: Progress, wanted: boolean) {
  const [detail, setDetail] = useState<{ own?: Deployment | undefined; steps?: MarathonDeployment | undefined }>({});
  const { id, state, step, waiting_for } = progress;
  useEffect(() => {
    if (!wanted) return;
    let current = true;
    Promise.all([api.deployments(), api.marathonDeployments()]).then(
      ([own, marathon]) =>
        current && setDetail({ own: own.find((one) => one.id === id), steps: marathon.find((one) => one.id === id) }),
      () => {},
    );
    return () => {
      current = false;
    };
  }, [id, state, step, waiting_for, wanted]);
  return detail;
}

export function DeploymentProgress({ progress, detail }: { progress: Progress; detail: boolean }) {
  const { id, services, state, step, steps, waiting_for } = progress;
  const { own, steps: planned } = useDetail(progress, detail);
  const still = own?.failing ?? own?.paused;
  return (
    <div className="stack" style={{ gap: 8 }}>
      <div className="row">
        <State tone={tones[state]}>{state === "running" ? "deploying" : state}</State>
        <span className="row" style={{ gap: 8 }}>
          {services.slice(0, 4).map((service) => (
            <Link key={service} to="service" params={{ id: service }}>
              {service}
            </Link>
          ))}
          {services.length > 4 && <span className="soft">and {services.length - 4} more</span>}
        </span>
        {own?.rolls_back && <span className="tag">rolls back</span>}
        <span className="soft small number">
          step {Math.min(step + 1, steps)} of {steps}
          {own && (
            <>
              , began <Since at={own.started_at} ago />
            </>
          )}
        </span>
        <span className="row" style={{ marginLeft: "auto", gap: 8 }}>
          {state === "paused" ? (
            <button type="button" className="button" onClick={() => void orderDeployment(id, services, "resume")}>
              <Icon name="play" /> Resume
            </button>
          ) : (
            <button type="button" className="button" onClick={() => void orderDeployment(id, services, "pause")}>
              <Icon name="pause" /> Pause
            </button>
          )}
          <button type="button" className="button" onClick={() => void orderDeployment(id, services, "cancel")}>
            Roll back
          </button>
          {detail && (
            <button type="button" className="button danger" onClick={() => void orderDeployment(id, services, "cancel", true)}>
              Stop here
            </button>
          )}
        </span>
      </div>
      <div className="step-track" role="img" aria-label={`Step ${Math.min(step + 1, steps)} of ${steps}`}>
        {Array.from({ length: Math.min(steps, 40) }, (_, index) => (
          <i key={index} className={index < step ? "done" : index === step ? tones[state] : ""} />
        ))}
      </div>
      {waiting_for && !still?.words.includes(waiting_for) && <p className="small">{waiting_for}</p>}
      {still && (
        <p className="small tone-bad">
          {still.words} (<Since at={still.since} ago />)
        </p>
      )}
      {own?.remedy && <p className="soft small">What would help: {own.remedy}</p>}
      {detail && planned && (
        <ol className="steps">
          {planned.steps.map((each, index) => (
            <li key={index} aria-current={index === step ? "step" : undefined} className={index < step ? "soft" : ""}>
              {index < step ? <Icon name="check" /> : <span className="step-number number">{index + 1}</span>}
              <span>
                {each.actions.map((action, at) => (
                  <span key={at} className="small" style={{ display: "block" }}>
                    {actionWords(action.action)} {action.app ?? action.pod}
                  </span>
                ))}
              </span>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

const actions: Record<string, string> = {
  StartApplication: "define",
  ScaleApplication: "start or stop instances of",
  RestartApplication: "replace the instances of",
  StopApplication: "stop all of",
  ResolveArtifacts: "fetch for",
};

const actionWords = (name: string) => actions[name] ?? name;
