// A definition as JSON, with what the schema says about the field at the cursor.

import { useRef, useState } from "react";
import { jsonFault, resolve, type Fault, type Schema, type Schemas } from "../../lib/schema";
import { Panel } from "../../ui/primitives";

export function Json(props: {
  text: string;
  faults: readonly Fault[];
  schemas: Schemas | null;
  onChange: (text: string) => void;
}) {
  const { text, schemas } = props;
  const area = useRef<HTMLTextAreaElement>(null);
  const [field, setField] = useState<string | null>(null);
  const broken = jsonFault(text);
  // All of them are listed below; on a phone that is far away.
  const [first, ...others] = props.faults;
  const fault = broken ? (
    `Line ${broken.line}: ${broken.words}`
  ) : first ? (
    <>
      {first.path ? <code>{first.path}</code> : "It"} {first.words}
      {others.length > 0 && ` (and ${others.length} more)`}
    </>
  ) : null;
  const look = () => {
    const at = area.current?.selectionStart ?? 0;
    const before = text.slice(0, at).split("\n");
    const line = `${before.at(-1) ?? ""}${text.slice(at).split("\n")[0] ?? ""}`;
    setField(/^\s*"([^"]+)"\s*:/.exec(line)?.[1] ?? null);
  };
  return (
    <div className="columns uneven">
      <div className="field">
        <label htmlFor="definition">Definition</label>
        <textarea
          id="definition"
          className="json"
          ref={area}
          value={text}
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          aria-invalid={props.faults.length > 0}
          aria-describedby="definition-fault"
          onChange={(event) => props.onChange(event.target.value)}
          onSelect={look}
        />
        <span id="definition-fault" className={fault ? "fault as-said" : "help"} style={{ minHeight: 20 }}>
          {fault ?? "Marathon's format; a whole app definition can be pasted here."}
        </span>
      </div>
      <Panel title="What can stand here">
        {schemas ? <Help schemas={schemas} field={field} /> : <p className="waiting">Reading the schema…</p>}
      </Panel>
    </div>
  );
}

/** Every field of the schema by name; the one at the cursor first. */
function Help({ schemas, field }: { schemas: Schemas; field: string | null }) {
  const fields = new Map<string, Schema>();
  // A field is most likely the app's own, else that of a part of it.
  for (const name of [
    "App",
    "Container",
    "Docker",
    "HealthCheck",
    "PortDefinition",
    "PortMapping",
    "Network",
    "Volume",
    "UpgradeStrategy",
    "ReadinessCheck",
    "Artifact",
  ]) {
    for (const [key, schema] of Object.entries(schemas[name]?.properties ?? {}))
      if (!fields.has(key)) fields.set(key, schema);
  }
  const here = field ? fields.get(field) : undefined;
  const own = Object.entries(schemas.App?.properties ?? {});
  return (
    <>
      {here && (
        <p className="pad small" role="status">
          <code>{field}</code>: {words(here, schemas)}
        </p>
      )}
      <dl className="facts scroll" style={{ maxHeight: 440 }} tabIndex={0} aria-label="Fields of an app">
        {own.map(([name, schema]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt className="mono">{name}</dt>
            <dd className="soft">{words(schema, schemas)}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function words(given: Schema, all: Schemas): string {
  const schema = resolve(given, all);
  const named = given.anyOf?.map((one) => resolve(one, all)).find((one) => one.type !== "null") ?? schema;
  if (named.enum) return named.enum.join(" or ");
  if (named.properties) return `{ ${Object.keys(named.properties).join(", ")} }`;
  const type = [named.type ?? "anything"]
    .flat()
    .filter((type) => type !== "null")
    .join(" or ");
  if (type === "array" && named.items) return `list of ${words(named.items, all)}`;
  if (type === "object") return "names and values";
  const least = named.minimum === undefined ? "" : `, at least ${named.minimum}`;
  return `${type === "integer" ? "whole number" : type === "string" ? "text" : type}${least}`;
}
