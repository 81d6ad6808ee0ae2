// Where one more instance would go, or why nowhere: in words, and as a table of machines that have the same in their way.

import { useEffect, useState } from "react";
import { explain, queue, wordsOf } from "../../api/client";
import type { Explanation, QueueItem, Service } from "../../api/types";
import { bytes, counted, cpuWords, legible, natural } from "../../lib/format";
import { Icon } from "../../ui/icons";
import { Link } from "../../ui/link";
import { Bar, Panel, Sheet, State, Waiting } from "../../ui/primitives";
import { endDelay } from "../actions";
import { isWaiting } from "../words";

/** The answer stands for a moment in a cluster that changes: it is asked for anew when the service moves, and by hand. */
function useAnswer(service: Service) {
  const [asked, ask] = useState(0);
  const [answer, setAnswer] = useState<{ explanation: Explanation; queued: QueueItem | undefined } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const { id, version, running, staged, instances, waiting_for } = service;
  useEffect(() => {
    let current = true;
    Promise.all([explain(id), queue().catch(() => [])]).then(
      ([explanation, items]) => {
        if (!current) return;
        setAnswer({ explanation, queued: items.find((item) => item.app.id === id) });
        setProblem(null);
      },
      (error: unknown) => current && setProblem(wordsOf(error)),
    );
    return () => {
      current = false;
    };
  }, [id, version, running, staged, instances, waiting_for, asked]);
  return { answer, problem, again: () => ask((asked) => asked + 1) };
}

export function Placement({ service }: { service: Service }) {
  const { answer, problem, again } = useAnswer(service);
  const waits = isWaiting(service);
  return (
    <Panel
      title={waits ? "Why it is pending" : "Where one more would go"}
      tools={
        <button type="button" className="button plain" onClick={again}>
          Ask again
        </button>
      }
    >
      {problem && <p className="pad fault">{problem}</p>}
      {!answer && !problem && <Waiting words="Asking the scheduler…" height={120} />}
      {answer && (
        <>
          <div className="pad stack" style={{ gap: 8 }}>
            <Verdict service={service} explanation={answer.explanation} waits={waits} />
            {answer.queued && <Delay item={answer.queued} id={service.id} />}
          </div>
          {answer.explanation.groups.length > 0 && <Groups explanation={answer.explanation} />}
          {answer.queued && waits && <Funnel item={answer.queued} />}
        </>
      )}
    </Panel>
  );
}

function Verdict({ service, explanation, waits }: { service: Service; explanation: Explanation; waits: boolean }) {
  const { demand, fitting, machines, choice_hostname, nearest } = explanation;
  const needs = [
    cpuWords(demand.cpus_milli),
    bytes(demand.mem),
    demand.disk > 0 && `${bytes(demand.disk)} of disk`,
    demand.gpus.count > 0 && counted(demand.gpus.count, "GPU"),
  ].filter(Boolean);
  return (
    <>
      <p>
        One instance needs <strong className="number">{needs.join(", ")}</strong>.{" "}
        {fitting === 0 ? (
          <>
            None of {counted(machines, "machine")} can take it:{" "}
            <strong>{legible(explanation.groups.length === 1 ? explanation.summary.replace(/^\d+ machines?: /, "") : explanation.summary)}</strong>.
          </>
        ) : (
          <>
            It fits on {fitting} of {counted(machines, "machine")}
            {choice_hostname && <>, {choice_hostname} first</>}.
            {waits && " It waits for its launch delay, or for its deployment."}
          </>
        )}
      </p>
      {fitting === 0 && nearest && <p className="soft">Nearest: {legible(nearest)}.</p>}
      {fitting === 0 && <Help service={service} role={/quota limit of role (\S+)/.exec(explanation.summary)?.[1]} />}
    </>
  );
}

function Help({ service, role }: { service: Service; role: string | undefined }) {
  const less = (
    <Link to="edit" params={{ id: service.id }}>
      ask for less
    </Link>
  );
  return (
    <p className="soft">
      {role ? (
        <>
          What helps: raise{" "}
          <Link to="roles" params={{ role }}>
            the limit of {role}
          </Link>
          , let it {less}, or scale something of that role down.
        </>
      ) : (
        <>What helps: let it {less}, make room by scaling something down, or add a machine that fits.</>
      )}
    </p>
  );
}

function Delay({ item, id }: { item: QueueItem; id: string }) {
  const { overdue, timeLeftSeconds } = item.delay;
  if (overdue || timeLeftSeconds <= 0) return null;
  return (
    <p className="row">
      <span>
        <State tone="busy">delayed</State>&ensp;It failed before, so the next launch waits {timeLeftSeconds} s.
      </span>
      <button type="button" className="button" onClick={() => void endDelay(id)}>
        Try now
      </button>
    </p>
  );
}

function Groups({ explanation }: { explanation: Explanation }) {
  return (
    <Sheet label="Machines and what is in the way there">
      <thead>
        <tr>
          <th scope="col" className="right" style={{ width: 90 }}>
            Machines
          </th>
          <th scope="col">What is in the way</th>
          <th scope="col">Such as</th>
        </tr>
      </thead>
      <tbody>
        {explanation.groups.map((group) => (
          <tr key={group.words}>
            <td className="right number">{group.machines}</td>
            <td>{legible(group.words)}</td>
            <td>
              {[...group.examples].sort((a, b) => (natural(a) < natural(b) ? -1 : 1)).map((name, index) => (
                <span key={name}>
                  {index > 0 && ", "}
                  <Link to="machine" params={{ id: name }}>
                    {name}
                  </Link>
                </span>
              ))}
            </td>
          </tr>
        ))}
      </tbody>
    </Sheet>
  );
}

const reasons: Record<string, string> = {
  UnfulfilledRole: "reserved for other roles",
  UnfulfilledConstraint: "a constraint says no",
  NoCorrespondingReservationFound: "no reservation of its own",
  AgentMaintenance: "not taking tasks",
  InsufficientCpus: "too little CPU",
  InsufficientMemory: "too little memory",
  InsufficientDisk: "too little disk",
  InsufficientGpus: "too few GPUs",
  InsufficientPorts: "ports taken",
  DeclinedScarceResources: "quota or guarantees of others",
};

/** Step by step, how many machines were left: the same that Marathon's queue tells. */
function Funnel({ item }: { item: QueueItem }) {
  const steps = item.processedOffersSummary.rejectSummaryLaunchAttempt;
  const all = steps[0]?.processed ?? 0;
  if (all === 0) return null;
  const lossy = steps.filter((step) => step.declined > 0);
  return (
    <details className="pad">
      <summary className="small">Step by step</summary>
      <ol className="stack" style={{ gap: 6, marginTop: 8, maxWidth: 560 }}>
        {lossy.map((step) => (
          <li key={step.reason} className="with-bar small" style={{ gridTemplateColumns: "minmax(0, 1fr) 120px auto" }}>
            <span className="row" style={{ gap: 6 }}>
              <Icon name="close" /> {reasons[step.reason] ?? step.reason}
            </span>
            <Bar
              label={`left after ${step.reason}`}
              allocated={step.processed - step.declined}
              used={null}
              total={all}
            />
            <span className="number soft">
              {step.processed - step.declined} of {step.processed} left
            </span>
          </li>
        ))}
      </ol>
    </details>
  );
}
