// How teams share the pool: what each role has, is guaranteed and may have, against its fair share; and setting it.

import { useEffect, useMemo, useState } from "react";
import * as api from "../api/client";
import { ApiError, wordsOf } from "../api/client";
import type { Picture } from "../api/picture";
import type { App, Bound, Role, Totals } from "../api/types";
import { boundOf, crossed, fieldNames, hasSettings, typedOf, type Typed } from "../lib/bounds";
import { bytes, count, cpuWords, natural, percent } from "../lib/format";
import { useParam } from "../lib/route";
import type { Fault } from "../lib/schema";
import { dominant, inWords, kindNames, kinds, totals } from "../lib/sums";
import { Dialog, useBusy } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { Link } from "../ui/link";
import { Bar, Empty, Field, PageHead, Panel, State, Waiting } from "../ui/primitives";
import { toast } from "../ui/toast";
import { removeRole } from "./actions";
import { RolePast } from "./role-past";
import { frameworkTone } from "./words";

const fresh: Role = {
  name: "",
  weight_milli: 1000,
  guarantee: { cpus_milli: null, mem: null, disk: null, gpus_milli: null },
  limit: { cpus_milli: null, mem: null, disk: null, gpus_milli: null },
  allocated: { cpus_milli: 0, mem: 0, disk: 0, gpus_milli: 0 },
  offered: { cpus_milli: 0, mem: 0, disk: 0, gpus_milli: 0 },
  reserved: { cpus_milli: 0, mem: 0, disk: 0, gpus_milli: 0 },
};

export function Roles({ picture }: { picture: Picture }) {
  const [chosen, choose] = useParam("role");
  const [edited, edit] = useState<Role | null>(null);
  // The master lists those that count: they have settings, or something is kept for them, or somebody is in them.
  const roles = useMemo(
    () => (picture.cluster ? [...picture.roles.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) : null),
    [picture.cluster, picture.roles],
  );
  const whole = useMemo(() => totals(picture.nodes.values()).total, [picture.nodes]);
  const shown = roles?.find((role) => role.name === chosen) ?? null;
  return (
    <>
      <PageHead title="Roles and quota" {...(roles && { count: roles.length })}>
        <button type="button" className="button main" onClick={() => edit(fresh)}>
          <Icon name="plus" /> Set up a role
        </button>
      </PageHead>
      <Panel
        title="Roles"
        tools={
          roles?.length !== 0 && (
            <span className="legend">
              <span className="key">has</span>
              <span className="key fair">fair share by weight</span>
            </span>
          )
        }
      >
        {roles?.length === 0 ? (
          <Empty>
            <p>
              No role has anything yet. Whatever names none is in <code>*</code>, which is everybody's; with roles of their
              own, teams get shares, guarantees and limits.
            </p>
          </Empty>
        ) : roles ? (
          <Shares roles={roles} whole={whole} chosen={chosen} choose={choose} edit={edit} />
        ) : (
          <Waiting height={80} />
        )}
      </Panel>
      {/* Everybody's own is there also while nobody has anything. */}
      {chosen && chosen !== "*" && roles && !shown && (
        <section className="panel">
          <Empty>
            <p>There is no role {chosen}: nobody is in it, nothing is kept for it, and nothing is set up for it.</p>
            <Link to="roles" className="button">
              All roles
            </Link>
          </Empty>
        </section>
      )}
      {shown && <RolePast key={shown.name} role={shown} />}
      {shown && <Subscribers role={shown.name} picture={picture} />}
      {shown && <Users role={shown.name} />}
      {edited && (
        <EditRole
          key={edited.name}
          role={edited}
          onClose={() => edit(null)}
          onDone={() => edit(null)}
        />
      )}
    </>
  );
}

function Shares(props: {
  roles: readonly Role[];
  whole: Totals;
  chosen: string | null;
  choose: (name: string | null) => void;
  edit: (role: Role) => void;
}) {
  const { roles, whole } = props;
  const weights = roles.reduce((sum, role) => sum + role.weight_milli, 0);
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Roles and what they have">
      <table className="table roles">
        <thead>
          <tr>
            <th scope="col">Role</th>
            <th scope="col">Share of the pool</th>
            <th scope="col" className="right wide">
              Weight
            </th>
            <th scope="col" className="wide">
              Has
            </th>
            <th scope="col" className="wide">
              Guaranteed
            </th>
            <th scope="col" className="wide">
              At most
            </th>
            <th scope="col">
              <span className="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {roles.map((role) => {
            const { kind, share } = dominant(role.allocated, whole);
            const fair = percent(role.weight_milli, weights);
            return (
              <tr key={role.name}>
                <td>
                  <button
                    type="button"
                    className="wrap"
                    style={{ fontWeight: 500 }}
                    aria-pressed={props.chosen === role.name}
                    onClick={() => props.choose(props.chosen === role.name ? null : role.name)}
                  >
                    {role.name}
                  </button>
                  <p className="narrow number">
                    {inWords(role.allocated) || "has nothing"}
                    {inWords(role.limit, true) && ` of at most ${inWords(role.limit, true)}`}
                    {inWords(role.guarantee) && `, guaranteed ${inWords(role.guarantee)}`}
                    {inWords(role.reserved) && `, reserved ${inWords(role.reserved)}`}
                  </p>
                </td>
                <td className="share">
                  <div className="with-bar" title={`most of it ${kindNames[kind]}`}>
                    <Bar
                      label={`${role.name}, ${kindNames[kind]}`}
                      allocated={share}
                      used={null}
                      total={1}
                      mark={fair}
                    />
                    <span className="number">
                      {percent(share, 1)} % <span className="soft">fair {Math.round(fair)} %</span>
                    </span>
                  </div>
                </td>
                <td className="right number wide">{role.weight_milli / 1000}</td>
                <td className="wide">
                  <Amounts of={role.allocated} empty="nothing" />
                  {inWords(role.reserved) && <p className="soft number">reserved for it: {inWords(role.reserved)}</p>}
                </td>
                <td className="wide">
                  <Amounts of={role.guarantee} empty="nothing" />
                </td>
                <td className="wide">
                  <Amounts of={role.limit} empty="no limit" zero />
                </td>
                <td className="orders">
                  <button
                    type="button"
                    className="button"
                    onClick={() => props.edit(role)}
                    aria-label={`Change ${role.name}`}
                  >
                    Change
                  </button>
                  {hasSettings(role) && (
                    <button
                      type="button"
                      className="button danger"
                      onClick={() => void removeRole(role)}
                      aria-label={`Delete the settings of ${role.name}`}
                    >
                      Delete
                    </button>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Amounts({ of, empty, zero = false }: { of: Bound; empty: string; zero?: boolean }) {
  const words = inWords(of, zero);
  return words ? <span className="number">{words}</span> : <span className="soft">{empty}</span>;
}

/** The frameworks in a role; nothing if there are none, as most roles are for services. */
function Subscribers({ role, picture }: { role: string; picture: Picture }) {
  const own = useMemo(
    () =>
      [...picture.frameworks.values()]
        .filter((framework) => framework.state !== "completed" && framework.roles.includes(role))
        .sort((a, b) => (natural(a.name) < natural(b.name) ? -1 : 1)),
    [picture.frameworks, role],
  );
  if (own.length === 0) return null;
  return (
    <Panel title={`Frameworks of ${role}`} count={own.length}>
      <ul className="lines pairs">
        {own.map((framework) => (
          <li key={framework.id}>
            <Link to="framework" params={{ id: framework.id }}>
              {framework.name}
            </Link>
            <State tone={frameworkTone(framework)}>{framework.state}</State>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** Services of a role that are listed; the others are counted. */
const mostUsers = 20;

/** The services of a role. */
function Users({ role }: { role: string }) {
  const [apps, setApps] = useState<App[] | null>(null);
  useEffect(() => {
    let current = true;
    api.apps().then(
      (apps) => current && setApps(apps),
      () => current && setApps([]),
    );
    return () => {
      current = false;
    };
  }, [role]);
  const own = apps
    ?.filter((app) => (app.role ?? "*") === role)
    .sort((a, b) => (natural(a.id ?? "") < natural(b.id ?? "") ? -1 : 1));
  return (
    <Panel title={`Services of ${role}`} {...(own && { count: own.length })}>
      {!own ? (
        <Waiting />
      ) : own.length === 0 ? (
        <Empty>
          <p>None. A service is in a role if its definition says so.</p>
        </Empty>
      ) : (
        <ul className="lines pairs">
          {own.slice(0, mostUsers).map((app) => (
            <li key={app.id}>
              <Link to="service" params={{ id: app.id }}>
                {app.id}
              </Link>
              <span className="soft number">
                {count(app.instances ?? 1)} × {cpuWords((app.cpus ?? 0) * 1000)}, {bytes((app.mem ?? 0) * 2 ** 20)}
              </span>
            </li>
          ))}
          {own.length > mostUsers && (
            <li>
              <Link to="services" params={{ q: `role=${role}`, view: "list" }}>
                and {count(own.length - mostUsers)} more
              </Link>
            </li>
          )}
        </ul>
      )}
    </Panel>
  );
}

function EditRole({ role, onClose, onDone }: { role: Role; onClose: () => void; onDone: () => void }) {
  const isNew = role.name === "";
  const [name, setName] = useState(role.name);
  const [weight, setWeight] = useState(String(role.weight_milli / 1000));
  const [guarantee, setGuarantee] = useState(() => typedOf(role.guarantee));
  const [limit, setLimit] = useState(() => typedOf(role.limit));
  const [refused, setRefused] = useState<ApiError | null>(null);
  const [busy, run] = useBusy();
  const least = boundOf(guarantee);
  const most = boundOf(limit);
  const faults: Fault[] = [
    ...(Number(weight) > 0 ? [] : [{ path: "weight_milli", words: "a number above 0" }]),
    ...least.wrong.map((kind) => ({ path: `guarantee/${kind}`, words: "an amount, or nothing" })),
    ...most.wrong.map((kind) => ({ path: `limit/${kind}`, words: "an amount, or nothing" })),
    ...crossed(least.bound, most.bound).map((kind) => ({ path: `guarantee/${kind}`, words: "more than the limit" })),
    ...(refused?.faults ?? []),
  ];
  const of = (path: string) => faults.find((fault) => fault.path === path)?.words;
  const save = () =>
    run(async () => {
      try {
        await api.setRole(name, {
          weight_milli: Math.round(Number(weight) * 1000),
          guarantee: least.bound,
          limit: most.bound,
        });
        toast(`The role ${name} is set`);
        onDone();
      } catch (error) {
        setRefused(error instanceof ApiError ? error : new ApiError(0, wordsOf(error)));
      }
    });
  return (
    <Dialog label={isNew ? "Set up a role" : `Change ${role.name}`} className="wide-dialog" onClose={onClose}>
      <form
        className="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <h2>{isNew ? "Set up a role" : `Change ${role.name}`}</h2>
        <div className="form-grid" style={{ padding: 0 }}>
          <div className="half">
            <Field label="Name" fault={of("name")} help={isNew ? "as services and frameworks say it" : "stays"}>
              {(attributes) => (
                <input
                  {...attributes}
                  value={name}
                  disabled={!isNew}
                  autoFocus={isNew}
                  onChange={(event) => setName(event.target.value)}
                />
              )}
            </Field>
          </div>
          <div className="half">
            <Field label="Weight" fault={of("weight_milli")} help="with twice the weight comes twice the share">
              {(attributes) => (
                <input
                  {...attributes}
                  inputMode="decimal"
                  value={weight}
                  onChange={(event) => setWeight(event.target.value)}
                />
              )}
            </Field>
          </div>
          <Bounds
            label="Guaranteed to be obtainable"
            path="guarantee"
            empty="nothing"
            typed={guarantee}
            onChange={setGuarantee}
            of={of}
          />
          <Bounds label="Never more than" path="limit" empty="no limit" typed={limit} onChange={setLimit} of={of} />
        </div>
        {refused && (
          <p className="fault" role="alert">
            {refused.message}
            {refused.remedy && ` (${refused.remedy})`}
          </p>
        )}
        <div className="buttons">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className="button main"
            disabled={busy || !name || faults.length > (refused?.faults.length ?? 0)}
          >
            Set
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Bounds(props: {
  label: string;
  path: string;
  /** What a field says that nothing is typed in. */
  empty: string;
  typed: Typed;
  onChange: (typed: Typed) => void;
  of: (path: string) => string | undefined;
}) {
  return (
    <fieldset>
      <legend>{props.label}</legend>
      <div className="form-grid" style={{ padding: 0 }}>
        {kinds.map((kind) => (
          <div className="quarter" key={kind}>
            <Field label={fieldNames[kind]} fault={props.of(`${props.path}/${kind}`)}>
              {(attributes) => (
                <input
                  {...attributes}
                  inputMode="decimal"
                  placeholder={props.empty}
                  value={props.typed[kind]}
                  onChange={(event) => props.onChange({ ...props.typed, [kind]: event.target.value })}
                />
              )}
            </Field>
          </div>
        ))}
      </div>
    </fieldset>
  );
}
