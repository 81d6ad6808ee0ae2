// A definition as a form: the fields that most services need.

import { useState, type ReactNode } from "react";
import type { App } from "../../api/types";
import {
  argsText,
  checkOf,
  imageOf,
  mapOf,
  numberOf,
  pairsOf,
  put,
  putCheck,
  putImage,
  type Check,
} from "../../lib/app";
import type { Fault } from "../../lib/schema";
import { Icon } from "../../ui/icons";
import { Field, Panel } from "../../ui/primitives";

interface Props {
  app: App;
  faults: readonly Fault[];
  /** An id cannot be changed. */
  fixed: boolean;
  onChange: (app: App) => void;
}

export function Form({ app, faults, fixed, onChange }: Props) {
  const of = (...paths: string[]) =>
    faults.find((fault) => paths.some((path) => fault.path === path || fault.path.startsWith(`${path}/`)))?.words;
  const set = (name: string, value: unknown) => onChange(put(app, name, value));
  const number = (name: "cpus" | "mem" | "disk" | "gpus" | "instances", label: string, help: string) => (
    <NumberField label={label} help={help} value={app[name]} fault={of(name)} onChange={(value) => set(name, value)} />
  );
  return (
    <Panel title="Service">
      <div className="form-grid">
        <Field label="Name" help={fixed ? "A name stays; “Create another like it” is at its definition." : "Where it stands in the tree, such as /shop/web"} fault={of("id")}>
          {(attributes) => (
            <input
              {...attributes}
              className="mono"
              value={app.id ?? ""}
              disabled={fixed}
              placeholder="/group/name"
              autoFocus={!fixed}
              spellCheck={false}
              autoComplete="off"
              onChange={(event) => set("id", event.target.value)}
            />
          )}
        </Field>
        <Field label="Image" help="A container image. Left empty, the command runs straight on the machine." fault={of("container")}>
          {(attributes) => (
            <input
              {...attributes}
              className="mono"
              value={imageOf(app)}
              placeholder="docker.io/library/nginx:1.29"
              spellCheck={false}
              autoComplete="off"
              onChange={(event) => onChange(putImage(app, event.target.value))}
            />
          )}
        </Field>
        {app.args?.length ? (
          <p className="soft small">
            Runs with arguments: <code>{argsText(app.args)}</code>. Change them as JSON.
          </p>
        ) : (
          <Field label="Command" help="As typed into a shell. Its ports are in $PORT0, $PORT1 and so on." fault={of("cmd")}>
            {(attributes) => (
              <textarea
                {...attributes}
                className="mono"
                rows={3}
                value={app.cmd ?? ""}
                spellCheck={false}
                onChange={(event) => set("cmd", event.target.value)}
              />
            )}
          </Field>
        )}
        <div className="quarter">{number("instances", "Instances", "How many of it run")}</div>
        <div className="quarter">{number("cpus", "CPUs", "For each, such as 0.1")}</div>
        <div className="quarter">{number("mem", "Memory", "MiB for each")}</div>
        <div className="quarter">{number("disk", "Disk", "MiB for each")}</div>
        <Ports app={app} onChange={onChange} fault={of("portDefinitions", "ports")} />
        <CheckFields app={app} onChange={onChange} fault={of("healthChecks")} />
        <div className="half-wide">
          <Pairs label="Environment" value={app.env} fault={of("env")} onChange={(value) => set("env", value)} />
        </div>
        <div className="half-wide">
          <Pairs label="Labels" value={app.labels} fault={of("labels")} onChange={(value) => set("labels", value)} />
        </div>
        <div className="half">
          <Field label="Role" help="Whose share it uses; * is everybody's" fault={of("role")}>
            {(attributes) => (
              <input
                {...attributes}
                value={app.role ?? ""}
                placeholder="*"
                onChange={(event) => set("role", event.target.value)}
              />
            )}
          </Field>
        </div>
        <div className="half">{number("gpus", "GPUs", "Whole ones for each")}</div>
        <Constraints app={app} onChange={onChange} fault={of("constraints")} />
      </div>
    </Panel>
  );
}

/** What is typed stays as it is typed, `0.` too; the definition has the number. */
function NumberField(props: {
  label: string;
  help: string;
  value: unknown;
  fault: string | undefined;
  onChange: (value: number | string | undefined) => void;
}) {
  const [text, setText] = useState(props.value === undefined ? "" : String(props.value));
  const shown = numberOf(text) === props.value ? text : props.value === undefined ? "" : String(props.value);
  return (
    <Field label={props.label} help={props.help} fault={props.fault}>
      {(attributes) => (
        <input
          {...attributes}
          inputMode="decimal"
          className="number"
          value={shown}
          autoComplete="off"
          onChange={(event) => {
            setText(event.target.value);
            props.onChange(numberOf(event.target.value));
          }}
        />
      )}
    </Field>
  );
}

function Group({ label, fault, children }: { label: string; fault: string | undefined; children: ReactNode }) {
  return (
    <fieldset>
      <legend>{label}</legend>
      {children}
      {fault && <span className="fault">{fault}</span>}
    </fieldset>
  );
}

const protocols: readonly (readonly [Check["protocol"], string])[] = [
  ["none", "None: running is healthy"],
  ["HTTP", "HTTP: a path answers"],
  ["TCP", "TCP: the port takes connections"],
  ["COMMAND", "Command: it succeeds"],
];

function CheckFields({ app, onChange, fault }: { app: App; onChange: (app: App) => void; fault: string | undefined }) {
  const check = checkOf(app);
  if (!check) return <p className="soft small">Its health check is one that only JSON shows.</p>;
  const change = (change: Partial<Check>) => onChange(putCheck(app, { ...check, ...change }));
  return (
    <Group label="Health check" fault={fault}>
      <div className="row">
        <select
          aria-label="Kind of health check"
          value={check.protocol}
          onChange={(event) => change({ protocol: event.target.value as Check["protocol"], target: "" })}
        >
          {protocols.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
        {(check.protocol === "HTTP" || check.protocol === "COMMAND") && (
          <input
            className="mono"
            aria-label={check.protocol === "HTTP" ? "Path" : "Command of the health check"}
            placeholder={check.protocol === "HTTP" ? "/" : "test -f ready"}
            value={check.target}
            style={{ flex: 1 }}
            onChange={(event) => change({ target: event.target.value })}
          />
        )}
      </div>
    </Group>
  );
}

type PortDefinition = Record<string, unknown>;

function Ports({ app, onChange, fault }: { app: App; onChange: (app: App) => void; fault: string | undefined }) {
  // Containers on a network of their own map ports; that is for JSON.
  if (app.container && "portMappings" in app.container)
    return <p className="soft small">Its port mappings are shown as JSON.</p>;
  const list = Array.isArray(app.portDefinitions) ? (app.portDefinitions as PortDefinition[]) : [];
  const set = (next: PortDefinition[]) => onChange({ ...app, portDefinitions: next });
  const change = (index: number, name: string, value: unknown) =>
    set(list.map((port, at) => (at === index ? (put(port as App, name, value) as PortDefinition) : port)));
  return (
    <Group label="Ports" fault={fault}>
      {list.length > 0 && <Heads names={["Name", "Port of the service; 0: any"]} />}
      {list.map((port, index) => (
        <div className="pair" key={index}>
          <input
            aria-label={`Name of port ${index}`}
            placeholder="name, such as http"
            value={String(port.name ?? "")}
            onChange={(event) => change(index, "name", event.target.value)}
          />
          <input
            aria-label={`Service port ${index}`}
            inputMode="numeric"
            placeholder="0: any"
            value={String(port.port ?? "")}
            onChange={(event) => change(index, "port", numberOf(event.target.value) ?? 0)}
          />
          <Remove label={`Remove port ${index}`} onClick={() => set(list.filter((_, at) => at !== index))} />
        </div>
      ))}
      <Add label="Add a port" onClick={() => set([...list, { port: 0, protocol: "tcp" }])} />
    </Group>
  );
}

function Pairs(props: {
  label: string;
  value: unknown;
  fault: string | undefined;
  onChange: (value: unknown) => void;
}) {
  // Pairs without a name are not in the definition yet, so the fields keep them themselves.
  const [pairs, setPairs] = useState(() => pairsOf(props.value));
  const same = JSON.stringify(mapOf(pairs) ?? {}) === JSON.stringify(props.value ?? {});
  const shown = same ? pairs : pairsOf(props.value);
  const set = (next: [string, string][]) => {
    setPairs(next);
    props.onChange(mapOf(next));
  };
  const one = props.label.toLowerCase();
  return (
    <Group label={props.label} fault={props.fault}>
      {shown.map(([name, value], index) => (
        <div className="pair" key={index}>
          <input
            className="mono"
            aria-label={`Name ${index} in ${one}`}
            placeholder="NAME"
            value={name}
            spellCheck={false}
            onChange={(event) => set(shown.map((pair, at) => (at === index ? [event.target.value, pair[1]] : pair)))}
          />
          <input
            className="mono"
            aria-label={`Value ${index} in ${one}`}
            placeholder="value"
            value={value}
            spellCheck={false}
            onChange={(event) => set(shown.map((pair, at) => (at === index ? [pair[0], event.target.value] : pair)))}
          />
          <Remove
            label={`Remove ${name || "this"} from ${one}`}
            onClick={() => set(shown.filter((_, at) => at !== index))}
          />
        </div>
      ))}
      <Add label={`Add to ${one}`} onClick={() => set([...shown, ["", ""]])} />
    </Group>
  );
}

const operators = ["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"];

function Constraints({ app, onChange, fault }: { app: App; onChange: (app: App) => void; fault: string | undefined }) {
  const list = app.constraints ?? [];
  const set = (next: string[][]) => onChange(put(app, "constraints", next.length ? next : undefined));
  const change = (index: number, place: number, text: string) =>
    set(
      list.map((constraint, at) => {
        if (at !== index) return constraint;
        const next = [constraint[0] ?? "hostname", constraint[1] ?? "UNIQUE", constraint[2] ?? ""];
        next[place] = text;
        return next[2] ? next : next.slice(0, 2);
      }),
    );
  return (
    <Group label="Where it may run" fault={fault}>
      {list.length > 0 && <Heads names={["Attribute", "Operator", "Value"]} />}
      {list.map((constraint, index) => (
        <div className="pair three" key={index}>
          <input
            aria-label={`Attribute ${index}`}
            value={constraint[0] ?? ""}
            onChange={(event) => change(index, 0, event.target.value)}
          />
          <select
            aria-label={`Operator ${index}`}
            value={constraint[1] ?? "UNIQUE"}
            onChange={(event) => change(index, 1, event.target.value)}
          >
            {operators.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
          <input
            aria-label={`Operand ${index}`}
            placeholder="value"
            value={constraint[2] ?? ""}
            onChange={(event) => change(index, 2, event.target.value)}
          />
          <Remove label={`Remove constraint ${index}`} onClick={() => set(list.filter((_, at) => at !== index))} />
        </div>
      ))}
      <Add label="Add a constraint" onClick={() => set([...list, ["hostname", "UNIQUE"]])} />
    </Group>
  );
}

/** What the fields below are; each has its own name for a screen reader. */
const Heads = ({ names }: { names: readonly string[] }) => (
  <div className={`pair ${names.length === 3 ? "three" : ""} soft small`} aria-hidden="true">
    {names.map((name) => (
      <span key={name}>{name}</span>
    ))}
  </div>
);

const Remove = ({ label, onClick }: { label: string; onClick: () => void }) => (
  <button type="button" className="icon-button" aria-label={label} onClick={onClick}>
    <Icon name="close" />
  </button>
);

const Add = ({ label, onClick }: { label: string; onClick: () => void }) => (
  <button type="button" className="button plain" style={{ justifySelf: "start", marginLeft: -12 }} onClick={onClick}>
    <Icon name="plus" /> {label}
  </button>
);
