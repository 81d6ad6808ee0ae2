// All services, as a tree of groups or as a list, with what each is and how it is.

import { useMemo, useState } from "react";
import type { Picture } from "../../api/picture";
import type { Service } from "../../api/types";
import { brief, bytes, count, counted, cpus, natural } from "../../lib/format";
import { useParam } from "../../lib/route";
import { has } from "../../lib/search";
import { byName, rows as treeRows, type Row } from "../../lib/tree";
import { Icon } from "../../ui/icons";
import { Link } from "../../ui/link";
import { Chip, Choice, Empty, PageHead, Search, State } from "../../ui/primitives";
import { Table, Twist, type Column } from "../../ui/table";
import { Since } from "../../ui/time";
import { removeGroup } from "../actions";
import { needsPerson } from "../trouble";
import { Instances, isWaiting, ServiceState, serviceWord, type Deployments } from "../words";

type View = "tree" | "list";
type Which = "all" | "trouble" | "pending" | "deploying" | "suspended";

const choices: readonly (readonly [Which, string])[] = [
  ["all", "All"],
  ["trouble", "In trouble"],
  ["pending", "Pending"],
  ["deploying", "Deploying"],
  ["suspended", "Suspended"],
];

/** What a filter looks at. */
const wordsOf = ({ id, command, health, role, labels }: Service) =>
  `${id} ${command} ${health} role=${role ?? ""} ${Object.entries(labels ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .join(" ")}`;

function isIn(which: Which, service: Service, deployments: Deployments): boolean {
  switch (which) {
    case "trouble":
      return needsPerson(service, deployments);
    case "pending":
      return isWaiting(service);
    case "deploying":
      return service.deployments.length > 0;
    case "suspended":
      return service.health === "suspended";
    default:
      return true;
  }
}

export function Services({ picture }: { picture: Picture }) {
  const { services, deployments } = picture;
  const [query, setQuery] = useParam("q");
  const [state, setState] = useParam("state");
  const [group, setGroup] = useParam("group");
  const [viewed, setView] = useParam("view");
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const view: View = viewed === "list" ? "list" : "tree";
  const which = choices.find(([name]) => name === state)?.[0] ?? "all";
  const shown = useMemo(() => {
    const fits = has(query ?? "");
    return [...services.values()].filter(
      (service) =>
        (!group || service.id.startsWith(`${group}/`)) &&
        isIn(which, service, deployments) &&
        fits(wordsOf(service)),
    );
  }, [services, deployments, query, which, group]);
  const rows = useMemo<Row[]>(() => {
    if (view === "tree") return treeRows(shown, closed);
    // Where what they are sorted by is the same, they stand by name.
    return [...shown].sort(byName).map((service) => ({ kind: "service", id: service.id, name: service.id, depth: 0, service }));
  }, [shown, view, closed]);
  const twist = (id: string) => {
    const next = new Set(closed);
    if (!next.delete(id)) next.add(id);
    setClosed(next);
  };
  const grouped = rows.some(({ kind }) => kind === "group");
  const columns = useMemo(
    () => columnsOf(deployments, view, grouped, twist, setGroup),
    [deployments, view, grouped, closed],
  );
  const filtered = Boolean(query || group || which !== "all");
  // What the filters leave out of a group goes with it all the same.
  const inGroup = () => [...services.values()].filter(({ id }) => id.startsWith(`${group}/`)).sort(byName);
  return (
    <>
      <PageHead
        title="Services"
        count={filtered ? `${count(shown.length)} of ${count(services.size)}` : count(services.size)}
      >
        <Link to="create" params={{ group }} className="button main">
          <Icon name="plus" /> Create
        </Link>
      </PageHead>
      {(services.size > 0 || filtered) && (
        <div className="filters">
          <Search label="Filter by name, command, label=value" value={query ?? ""} onChange={(value) => setQuery(value, true)} />
          <Choice
            label="Which"
            value={which}
            options={choices}
            onChange={(value) => setState(value === "all" ? null : value)}
          />
          <Choice
            label="Shown as"
            value={view}
            options={[
              ["tree", "Tree"],
              ["list", "List"],
            ]}
            onChange={(value) => setView(value === "tree" ? null : value)}
          />
          {group && <Chip words={group} onClear={() => setGroup(null)} />}
          {group && (
            <button type="button" className="button danger" onClick={() => void removeGroup(group, inGroup())}>
              Delete group
            </button>
          )}
        </div>
      )}
      <div className="panel">
        {rows.length === 0 ? (
          <Empty>
            {filtered ? (
              <>
                <p>No service matches.</p>
                <Link to="services" className="button">
                  Show all
                </Link>
              </>
            ) : (
              <>
                <p>Nothing runs yet. Describe a service by form or paste its definition:</p>
                <div className="row">
                  <Link to="create" className="button main">
                    Create a service
                  </Link>
                  <Link to="create" params={{ "as-json": "yes" }} className="button">
                    Paste a definition
                  </Link>
                </div>
              </>
            )}
          </Empty>
        ) : (
          <Table label="Services" columns={columns} rows={rows} rowKey={(row) => `${row.kind} ${row.id}`} />
        )}
      </div>
    </>
  );
}

function columnsOf(
  deployments: Deployments,
  view: View,
  grouped: boolean,
  twist: (id: string) => void,
  setGroup: (id: string) => void,
): Column<Row>[] {
  // A tree keeps its order: sorting would tear it apart.
  const sortable = <T extends string | number>(by: (service: Service) => T) =>
    view === "list" ? { by: (row: Row): string | number => (row.kind === "service" ? by(row.service) : "") } : {};
  return [
    {
      key: "name",
      head: "Service",
      ...sortable((service) => natural(service.id)),
      cell: (row) => (
        <div className="tree-name" style={{ "--depth": row.depth } as React.CSSProperties}>
          {row.kind === "group" ? (
            <>
              <Twist
                open={row.open}
                label={`${row.open ? "Close" : "Open"} ${row.id}`}
                onChange={() => twist(row.id)}
              />
              <button type="button" onClick={() => setGroup(row.id)} title={`Only ${row.id}`} className="wrap">
                {row.name}
              </button>
              <span className="soft number">{row.services.length}</span>
            </>
          ) : (
            <>
              {grouped && <span className="leaf" />}
              <span>
                <Link to="service" params={{ id: row.id }}>
                  {row.name}
                </Link>
                {note(row.service) && <span className="narrow lines-3">{note(row.service)}</span>}
              </span>
            </>
          )}
        </div>
      ),
    },
    {
      key: "state",
      head: "State",
      ...sortable((service) => serviceWord(service, deployments).word),
      cell: (row) =>
        row.kind === "group" ? (
          <GroupState services={row.services} deployments={deployments} />
        ) : (
          <ServiceState service={row.service} deployments={deployments} />
        ),
    },
    {
      key: "running",
      head: "Running",
      ...sortable((service) => service.running),
      cell: (row) =>
        row.kind === "service" ? (
          <Instances service={row.service} />
        ) : (
          <span className="number soft">
            {sum(row.services, (service) => service.running)} / {sum(row.services, (service) => service.instances)}
          </span>
        ),
    },
    {
      key: "note",
      head: "Now",
      wide: true,
      width: "32%",
      cell: (row) =>
        row.kind === "service" && (
          <span className="soft lines-1" title={said(row.service)}>
            {note(row.service)}
          </span>
        ),
    },
    {
      key: "cpus",
      head: "CPU",
      right: true,
      wide: true,
      ...sortable((service) => service.cpus_milli * service.instances),
      cell: (row) => cpus(total(row, (service) => service.cpus_milli)),
    },
    {
      key: "mem",
      head: "Memory",
      right: true,
      wide: true,
      ...sortable((service) => service.mem * service.instances),
      cell: (row) => bytes(total(row, (service) => service.mem)),
    },
    {
      key: "version",
      head: "Changed",
      right: true,
      wide: true,
      ...sortable((service) => -service.version),
      cell: (row) => row.kind === "service" && <Since at={row.service.version} ago />,
    },
  ];
}

const sum = (services: readonly Service[], of: (service: Service) => number) =>
  services.reduce((sum, service) => sum + of(service), 0);

const total = (row: Row, of: (service: Service) => number) =>
  sum(row.kind === "group" ? row.services : [row.service], (service) => of(service) * service.instances);

/** As the master says it. */
const said = ({ failing, waiting_for, last_failure }: Service) => failing?.last ?? waiting_for ?? last_failure ?? "";

function note(service: Service): string {
  if (service.failing) return `failed ${counted(service.failing.count, "time")}: ${brief(service.failing.last)}`;
  if (service.waiting_for) return brief(service.waiting_for);
  if (service.health === "unhealthy" && service.last_failure) return brief(service.last_failure);
  return "";
}

function GroupState({ services, deployments }: { services: readonly Service[]; deployments: Deployments }) {
  const bad = services.filter((service) => needsPerson(service, deployments)).length;
  const pending = services.filter(isWaiting).length;
  if (bad) return <State tone="bad">{bad} in trouble</State>;
  if (pending) return <State tone="busy">{pending} pending</State>;
  const deploying = services.filter((service) => service.deployments.length > 0).length;
  if (deploying) return <State tone="busy">{deploying} deploying</State>;
  return <span className="soft">fine</span>;
}
