// Outside frameworks: who they are, what they have, hold and declined, and why they are offered what they are offered.

import { useEffect, useState } from "react";
import * as api from "../api/client";
import { wordsOf } from "../api/client";
import type { Framework, FrameworkDetail, FrameworkExplanation, Totals } from "../api/types";
import { amount, clock, counted, duration } from "../lib/format";
import { kinds } from "../lib/sums";
import { Link } from "../ui/link";
import { Bar, Empty, PageHead, Panel, State, Waiting } from "../ui/primitives";
import { Table, type Column } from "../ui/table";
import { Since } from "../ui/time";
import type { Tone } from "../ui/tone";

/** The event stream does not tell of frameworks yet, so what is in sight is asked for now and then. */
const every = 5000;

function useAnswer<T>(ask: () => Promise<T>): { answer: T | null; problem: string | null } {
  const [state, setState] = useState<{ answer: T | null; problem: string | null }>({ answer: null, problem: null });
  useEffect(() => {
    let current = true;
    const read = () => {
      if (document.hidden) return;
      ask().then(
        (answer) => current && setState({ answer, problem: null }),
        (error: unknown) => current && setState((state) => ({ ...state, problem: wordsOf(error) })),
      );
    };
    read();
    const timer = setInterval(read, every);
    return () => {
      current = false;
      clearInterval(timer);
    };
    // A page asks one question as long as it stands.
  }, []);
  return state;
}

const tones: Record<Framework["state"], Tone> = {
  connected: "good",
  disconnected: "bad",
  recovered: "busy",
  completed: "calm",
};

const share = (ppm: number) => `${(ppm / 10_000).toFixed(ppm < 100_000 ? 1 : 0)} %`;

const has = (totals: Totals) => {
  const words = kinds.flatMap((kind) =>
    totals[kind] > 0 ? [`${amount(kind, totals[kind])}${kind === "cpus_milli" ? " cpus" : kind === "gpus_milli" ? " GPUs" : kind === "disk" ? " disk" : ""}`] : [],
  );
  return words.join(", ") || "nothing";
};

const columns: readonly Column<Framework>[] = [
  {
    key: "name",
    head: "Framework",
    by: (framework) => framework.name,
    cell: (framework) => (
      <Link to="framework" params={{ id: framework.id }}>
        {framework.name}
      </Link>
    ),
  },
  {
    key: "state",
    head: "State",
    by: (framework) => framework.state,
    cell: (framework) => <State tone={tones[framework.state]}>{framework.state}</State>,
  },
  {
    key: "roles",
    head: "Roles",
    wide: true,
    cell: (framework) => (
      <span className="tags">
        {framework.roles.map((role) => (
          <Link key={role} className="tag" to="roles" params={{ role }}>
            {role}
            {framework.suppressed.includes(role) && " (no offers wanted)"}
          </Link>
        ))}
      </span>
    ),
  },
  {
    key: "share",
    head: "Share",
    by: (framework) => framework.share_ppm,
    cell: (framework) => (
      <div className="with-bar" title={framework.dominant ? `most of it ${framework.dominant}` : undefined}>
        <Bar label={`${framework.name}, share of the pool`} allocated={framework.share_ppm} used={null} total={1_000_000} />
        <span className="number soft">{share(framework.share_ppm)}</span>
      </div>
    ),
  },
  { key: "has", head: "Has", wide: true, cell: (framework) => <span className="number">{has(framework.allocated)}</span> },
  { key: "tasks", head: "Tasks", right: true, by: (framework) => framework.tasks, cell: (framework) => framework.tasks },
  { key: "offers", head: "Offers held", right: true, wide: true, by: (framework) => framework.offers, cell: (framework) => framework.offers },
];

/** Of a master that does not know of frameworks nothing is asked. */
const listed = async () => {
  if ((await api.paths()).has("/hansa/v1/frameworks")) return api.frameworks();
  throw new Error("This master does not tell of frameworks; a newer one does.");
};

export function Frameworks() {
  const { answer, problem } = useAnswer(listed);
  return (
    <>
      <PageHead title="Frameworks" {...(answer && { count: answer.length })} />
      {problem && <p className="notice bad">{problem}</p>}
      <div className="panel">
        {!answer ? (
          !problem && <Waiting height={120} />
        ) : answer.length === 0 ? (
          <Empty>
            <p>No framework has subscribed. Schedulers written for Mesos subscribe at:</p>
            <code>{window.location.origin}/api/v1/scheduler</code>
          </Empty>
        ) : (
          <Table label="Frameworks" columns={columns} rows={answer} rowKey={(framework) => framework.id} first="name" />
        )}
      </div>
    </>
  );
}

export function FrameworkPage({ id }: { id: string }) {
  const { answer, problem } = useAnswer(() => Promise.all([api.framework(id), api.explainFramework(id)]));
  const crumbs = (
    <li>
      <Link to="frameworks">Frameworks</Link>
    </li>
  );
  if (!answer) {
    return (
      <>
        <PageHead title={id} crumbs={crumbs} />
        {problem ? <p className="notice bad">{problem}</p> : <Waiting height={300} />}
      </>
    );
  }
  const [framework, explanation] = answer;
  return (
    <>
      <PageHead title={framework.name} crumbs={crumbs} state={<State tone={tones[framework.state]}>{framework.state}</State>}>
        {framework.webui_url && (
          <a className="button" href={framework.webui_url} target="_blank" rel="noreferrer">
            Its own page
          </a>
        )}
      </PageHead>
      {framework.given_up_at && (
        <p className="notice bad">Its scheduler is away. It is given up with all its tasks at {clock(framework.given_up_at)}.</p>
      )}
      <Why explanation={explanation} />
      <div className="columns">
        <About framework={framework} />
        <Holds framework={framework} />
      </div>
    </>
  );
}

function Why({ explanation }: { explanation: FrameworkExplanation }) {
  return (
    <Panel title="Why it is offered what it is offered">
      <div className="pad stack" style={{ gap: 8 }}>
        <p>{explanation.summary}</p>
        {explanation.remedy && <p className="soft">What would help: {explanation.remedy}</p>}
      </div>
      <div className="scroll" tabIndex={0} role="region" aria-label="Role by role">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Role</th>
              <th scope="col" className="right">
                Share
              </th>
              <th scope="col" className="wide">
                Has
              </th>
              <th scope="col">What is in the way, or was decided</th>
            </tr>
          </thead>
          <tbody>
            {explanation.roles.map((role) => (
              <tr key={role.role}>
                <td>
                  <Link to="roles" params={{ role: role.role }}>
                    {role.role}
                  </Link>
                </td>
                <td className="right number">{share(role.share_ppm)}</td>
                <td className="wide number">{has(role.allocated)}</td>
                <td>
                  {role.suppressed && <p>It wants no offers for this role.</p>}
                  {role.last && (
                    <p>
                      {role.last.why} <span className="soft">(<Since at={role.last.at} ago />)</span>
                    </p>
                  )}
                  {role.obstacles.map((obstacle) => (
                    <p key={obstacle.reason + obstacle.words} className="soft">
                      {counted(obstacle.machines, "machine")}: {obstacle.words}
                      {obstacle.examples.length > 0 && ` (${obstacle.examples.join(", ")})`}
                    </p>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function About({ framework }: { framework: FrameworkDetail }) {
  return (
    <Panel title="About">
      <dl className="facts">
        <dt>Id</dt>
        <dd className="mono">{framework.id}</dd>
        <dt>Has</dt>
        <dd className="number">{has(framework.allocated)}</dd>
        <dt>Tasks</dt>
        <dd className="number">
          {framework.tasks} live, {framework.completed_tasks} ended
          {framework.unreachable_tasks > 0 && <span className="tone-bad">, {framework.unreachable_tasks} out of reach</span>}
        </dd>
        <dt>Executors</dt>
        <dd className="number">{framework.executors}</dd>
        <dt>Speaks as</dt>
        <dd>{framework.principal ?? "nobody named"}</dd>
        <dt>Scheduler on</dt>
        <dd>{framework.hostname || "not told"}</dd>
        <dt>May be away</dt>
        <dd className="number">{duration(framework.failover_timeout_ms)}</dd>
        <dt>First came</dt>
        <dd>
          <Since at={framework.registered_at} ago />
        </dd>
        <dt>Understands</dt>
        <dd>
          {framework.capabilities.length === 0 ? (
            <span className="soft">nothing beyond the basics</span>
          ) : (
            <span className="tags">
              {framework.capabilities.map((name) => (
                <span key={name} className="tag">
                  {name}
                </span>
              ))}
            </span>
          )}
        </dd>
      </dl>
    </Panel>
  );
}

function Holds({ framework }: { framework: FrameworkDetail }) {
  const { outstanding, filters } = framework;
  return (
    <div className="stack">
      <Panel title="Offers that it holds" count={outstanding.length}>
        {outstanding.length === 0 ? (
          <Empty>
            <p>None: each was accepted or declined.</p>
          </Empty>
        ) : (
          <ul className="lines">
            {outstanding.map((offer) => (
              <li key={offer.id}>
                <Link to="machine" params={{ id: offer.hostname }}>
                  {offer.hostname}
                </Link>
                <span className="mono wrap">{offer.resources}</span>
                <span className="soft">
                  for {offer.role}, <Since at={offer.made_at} ago />
                </span>
              </li>
            ))}
          </ul>
        )}
      </Panel>
      {filters.length > 0 && (
        <Panel title="Declined for a while" count={filters.length}>
          <ul className="lines">
            {filters.map((filter, index) => (
              <li key={index}>
                <Link to="machine" params={{ id: filter.hostname }}>
                  {filter.hostname}
                </Link>
                <span className="mono wrap">{filter.refused}</span>
                <span className="soft">
                  for {filter.role}, until {clock(filter.until)}
                </span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </div>
  );
}
