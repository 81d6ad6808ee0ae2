// Deployments under way: where each is, what it waits for, what would help, and its steps.

import { useEffect, useRef, useState } from "react";
import * as api from "../api/client";
import type { Deployment, MarathonDeployment, Progress } from "../api/types";
import { brief, legible } from "../lib/format";
import { Icon } from "../ui/icons";
import { Link } from "../ui/link";
import { Panel, State } from "../ui/primitives";
import { Since } from "../ui/time";
import type { Tone } from "../ui/tone";
import { orderDeployment } from "./actions";

interface Shown {
  deployments: readonly Progress[];
  detail?: boolean;
  /** What they wait for, and what would help, the page tells elsewhere. */
  told?: boolean;
}

export function Progresses({ deployments, detail = false, told = false }: Shown) {
  const details = useDetails(deployments, detail);
  return (
    <Panel title="Under way" count={deployments.length}>
      <ul>
        {deployments.map((deployment) => (
          <li key={deployment.id} className="progress">
            <DeploymentProgress progress={deployment} detail={detail} told={told} {...details.get(deployment.id)} />
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

/** What the lists tell of a deployment beyond the stream. */
interface Detail {
  own?: Deployment | undefined;
  planned?: MarathonDeployment | undefined;
}

/** A reading waits this long for more movement, which it then answers, too. */
const gathers = 200;

/** Details of all that are shown, read at once, and anew when the stream says that one of them moved. */
function useDetails(deployments: readonly Progress[], wanted: boolean): ReadonlyMap<string, Detail> {
  const [details, setDetails] = useState<ReadonlyMap<string, Detail>>(new Map());
  const moved = deployments
    .map(({ id, state, step, waiting_for }) => `${id} ${state} ${step} ${waiting_for}`)
    .join("\n");
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEffect(() => {
    if (!wanted || timer.current !== null) return;
    const read = async () => {
      timer.current = null;
      const [own, planned] = await Promise.all([api.deployments(), api.marathonDeployments()]);
      const steps = new Map(planned.map((one) => [one.id, one]));
      setDetails(new Map(own.map((one) => [one.id, { own: one, planned: steps.get(one.id) }])));
    };
    // Without them the page shows what the stream tells.
    timer.current = setTimeout(() => void read().catch(() => {}), gathers);
  }, [moved, wanted]);
  useEffect(
    () => () => {
      if (timer.current !== null) clearTimeout(timer.current);
      timer.current = null;
    },
    [],
  );
  return details;
}

interface One extends Detail {
  progress: Progress;
  detail: boolean;
  told: boolean;
}

function DeploymentProgress({ progress, detail, told, own, planned }: One) {
  const { id, services, state, step, steps, waiting_for } = progress;
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
        <span className="row at-end" style={{ gap: 8 }}>
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
            <button
              type="button"
              className="button danger"
              onClick={() => void orderDeployment(id, services, "cancel", true)}
            >
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
      {waiting_for && !told && !still?.words.includes(waiting_for) && <p className="small sentence">{brief(waiting_for)}</p>}
      {still && (
        <p className="small tone-bad sentence">
          {brief(still.words)} (<Since at={still.since} ago />)
        </p>
      )}
      {own?.remedy && !told && <Remedy words={legible(own.remedy)} />}
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

/** What the command line shows is shown here, too: there is a page for it. */
function Remedy({ words }: { words: string }) {
  const explain = /^(.*?)(?:; )?`hansa explain (\S+)` shows (.+)$/.exec(words);
  const [, said = words, service, what] = explain ?? [];
  return (
    <p className="soft small">
      {said && (
        <>
          What would help: <Words text={said} />
          {service && "; "}
        </>
      )}
      {service && (
        <Link to="service" params={{ id: service, tab: "placement" }}>
          see {what}
        </Link>
      )}
    </p>
  );
}

/** The server's words; what stands between backticks is to be typed. */
const Words = ({ text }: { text: string }) =>
  text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part));

const actions: Record<string, string> = {
  StartApplication: "define",
  ScaleApplication: "start or stop instances of",
  RestartApplication: "replace the instances of",
  StopApplication: "stop all of",
  ResolveArtifacts: "fetch for",
};

const actionWords = (name: string) => actions[name] ?? name;
