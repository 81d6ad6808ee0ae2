// Outside frameworks: who they are, what they have, hold and declined, and why they are offered what they are offered.

import { useEffect, useMemo } from "react";
import { useAsked } from "../api/asked";
import * as api from "../api/client";
import { ApiError } from "../api/client";
import { useFreshFrameworks } from "../api/live";
import type { Picture } from "../api/picture";
import type { Framework, FrameworkDetail, FrameworkExplanation, Totals } from "../api/types";
import { clock, count, counted, duration, localTimes, offered } from "../lib/format";
import { inWords } from "../lib/sums";
import { useParam } from "../lib/route";
import { Link } from "../ui/link";
import { Bar, Choice, Empty, PageHead, Panel, Sheet, State, Waiting } from "../ui/primitives";
import { Table, type Column } from "../ui/table";
import { Since } from "../ui/time";
import { tearDown } from "./actions";
import { NotThere } from "./not-there";
import { TaskTable } from "./tasks/table";
import { frameworkTone } from "./words";


const share = (ppm: number) => `${(ppm / 10_000).toFixed(ppm > 0 && ppm < 100_000 ? 1 : 0)} %`;

const has = (totals: Totals) => inWords(totals) || "nothing";

const columns: readonly Column<Framework>[] = [
  {
    key: "name",
    head: "Framework",
    by: (framework) => framework.name,
    cell: (framework) => (
      <>
        <Link to="framework" params={{ id: framework.id }}>
          {framework.name}
        </Link>
        <p className="narrow">{counted(framework.tasks, "task")}</p>
      </>
    ),
  },
  {
    key: "state",
    head: "State",
    by: (framework) => framework.state,
    cell: (framework) => <State tone={frameworkTone(framework)}>{framework.state}</State>,
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
        <Bar
          label={`${framework.name}, share of the pool`}
          allocated={framework.share_ppm}
          used={null}
          total={1_000_000}
        />
        <span className="number soft">{share(framework.share_ppm)}</span>
      </div>
    ),
  },
  {
    key: "has",
    head: "Has",
    wide: true,
    cell: (framework) => <span className="number">{has(framework.allocated)}</span>,
  },
  {
    key: "tasks",
    head: "Tasks",
    right: true,
    wide: true,
    by: (framework) => framework.tasks,
    cell: (framework) => framework.tasks,
  },
  {
    key: "offers",
    head: "Offers held",
    right: true,
    wide: true,
    by: (framework) => framework.offers,
    cell: (framework) => framework.offers,
  },
];

export function Frameworks({ picture }: { picture: Picture }) {
  useFreshFrameworks();
  const [which, setWhich] = useParam("which");
  const all = useMemo(() => [...picture.frameworks.values()], [picture.frameworks]);
  const present = useMemo(() => all.filter(({ state }) => state !== "completed"), [all]);
  const rows = which === "all" ? all : present;
  const gone = all.length - present.length;
  return (
    <>
      <PageHead title="Frameworks" {...(picture.cluster && { count: rows.length })} />
      {gone > 0 && (
        <div className="filters">
          <Choice
            label="Which"
            value={which === "all" ? "all" : "present"}
            options={[
              ["present", "Present"],
              ["all", `With ${count(gone)} gone for good`],
            ]}
            onChange={(value) => setWhich(value === "all" ? value : null)}
          />
        </div>
      )}
      <div className="panel">
        {!picture.cluster ? (
          <Waiting height={120} />
        ) : rows.length === 0 ? (
          <Empty>
            <p>No framework {gone > 0 ? "is here" : "has subscribed"}. Schedulers written for Mesos subscribe at:</p>
            <code>{window.location.origin}/api/v1/scheduler</code>
          </Empty>
        ) : (
          <Table label="Frameworks" columns={columns} rows={rows} rowKey={(framework) => framework.id} first="name" />
        )}
      </div>
    </>
  );
}

/** That there is none is an answer, too. */
function absent(error: unknown): "absent" {
  if (error instanceof ApiError && error.status === 404) return "absent";
  throw error;
}

export function FrameworkPage({ id, picture }: { id: string; picture: Picture }) {
  useFreshFrameworks();
  const { value: answer, problem, again } = useAsked(id, () =>
    Promise.all([api.framework(id), api.explainFramework(id)]).catch(absent),
  );
  // Whenever the list is read or a frame tells of one: what this one holds may be other, and why.
  useEffect(again, [again, picture.frameworks]);
  const crumbs = (
    <li>
      <Link to="frameworks">Frameworks</Link>
    </li>
  );
  if (answer === "absent") {
    return (
      <NotThere
        title={id}
        crumbs={crumbs}
        words={`There is no framework ${id}. One that is gone for good is remembered for some time only.`}
      >
        <Link to="frameworks" className="button">
          All frameworks
        </Link>
      </NotThere>
    );
  }
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
      <PageHead
        title={framework.name}
        crumbs={crumbs}
        state={<State tone={frameworkTone(framework)}>{framework.state}</State>}
      >
        {/* It is the framework that says so: nothing but a plain address becomes a link. */}
        {framework.webui_url && /^https?:\/\//.test(framework.webui_url) && (
          <a className="button" href={framework.webui_url} target="_blank" rel="noreferrer">
            Its own page
          </a>
        )}
        {framework.state !== "completed" && (
          <button type="button" className="button danger" onClick={() => void tearDown(framework)}>
            Tear down
          </button>
        )}
      </PageHead>
      {framework.given_up_at && (
        <p className="notice bad">
          Its scheduler is away. It is given up with all its tasks at {clock(framework.given_up_at)}.
        </p>
      )}
      <Why explanation={explanation} />
      <div className="columns">
        <About framework={framework} />
        <Holds framework={framework} />
      </div>
      <Runs framework={framework} picture={picture} />
    </>
  );
}

/** What has more to say than the machines below it. */
const says = ({ words, obstacles }: FrameworkExplanation["roles"][number]) =>
  obstacles.length === 0 || !obstacles.every((obstacle) => words.includes(obstacle.words));

function Why({ explanation }: { explanation: FrameworkExplanation }) {
  const { summary, roles } = explanation;
  const repeated = roles.length > 0 && roles.every(({ words }) => summary.includes(words));
  return (
    <Panel title="Why it is offered what it is offered">
      {!repeated && <p className="pad sentence">{localTimes(summary)}</p>}
      <Sheet label="Role by role">
        <thead>
          <tr>
            <th scope="col">Role</th>
            <th scope="col" className="right">
              Share
            </th>
            <th scope="col" className="wide">
              Has
            </th>
            <th scope="col">What it is offered, and what not</th>
          </tr>
        </thead>
        <tbody>
          {roles.map((role) => (
            <tr key={role.role}>
              <td>
                <Link to="roles" params={{ role: role.role }}>
                  {role.role}
                </Link>
              </td>
              <td className="right number">{share(role.share_ppm)}</td>
              <td className="wide number">
                {has(role.allocated)}
                {inWords(role.offered) && <p className="soft">offered now: {inWords(role.offered)}</p>}
              </td>
              <td>
                {says(role) && <p className="sentence">{localTimes(role.words)}</p>}
                {role.last_offer && (
                  <p className="soft">
                    Last offered {role.last_offer.hostname}, <Since at={role.last_offer.at} ago />
                  </p>
                )}
                {role.obstacles.map((obstacle) => (
                  <p key={obstacle.words} className="soft">
                    {counted(obstacle.machines, "machine")}: {localTimes(obstacle.words)}
                    {obstacle.examples.length > 0 && ` (${obstacle.examples.join(", ")})`}
                  </p>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </Sheet>
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
          {framework.unreachable_tasks > 0 && (
            <span className="tone-bad">, {framework.unreachable_tasks} out of reach</span>
          )}
        </dd>
        <dt>Executors</dt>
        <dd className="number">{framework.executors}</dd>
        <dt>Speaks as</dt>
        <dd>{framework.principal ?? "nobody named"}</dd>
        <dt>Scheduler on</dt>
        <dd>{framework.hostname || "not told"}</dd>
        <dt>May be away for</dt>
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

/** Its live tasks. */
function Runs({ framework, picture }: { framework: FrameworkDetail; picture: Picture }) {
  const { id, name } = framework;
  const tasks = useMemo(() => [...picture.tasks.values()].filter((task) => task.framework === id), [picture.tasks, id]);
  return (
    <Panel title="Tasks" count={tasks.length}>
      {tasks.length === 0 ? (
        <Empty>
          <p>None runs now.</p>
        </Empty>
      ) : (
        <TaskTable label={`Tasks of ${name}`} tasks={tasks} without="app" short />
      )}
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
                <span className="number wrap">{offered(offer.resources)}</span>
                <span className="soft under">
                  for {offer.role}
                  {offer.expires_at && `, until ${clock(offer.expires_at)}`}
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
                <span className="number wrap">{offered(filter.refused)}</span>
                <span className="soft under">
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
