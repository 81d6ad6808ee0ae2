// Creating and changing a service: by form or as JSON, two views of one definition; checked while it is typed, and what the
// server says about a field stands at that field.

import { useEffect, useMemo, useRef, useState } from "react";
import * as api from "../../api/client";
import { ApiError, wordsOf } from "../../api/client";
import type { Picture } from "../../api/picture";
import type { App, Service } from "../../api/types";
import { asks, definitionOf, fresh, missing } from "../../lib/app";
import { diff, lines } from "../../lib/diff";
import { counted, every } from "../../lib/format";
import { go, href, useParam } from "../../lib/route";
import { faults, jsonFault, type Fault, type Schemas } from "../../lib/schema";
import { Dialog, confirm, useBusy } from "../../ui/dialog";
import { Link } from "../../ui/link";
import { Choice, PageHead, Panel, Waiting } from "../../ui/primitives";
import { toast } from "../../ui/toast";
import { Diff } from "./diff";
import { Form } from "./form";
import { Json } from "./json";
import { Unknown } from "./service";

/** A definition under way. */
interface Draft {
  text: string;
  /** What the text says; null: it is no JSON object. */
  app: App | null;
}

const draftOf = (app: App): Draft => ({ text: JSON.stringify(app, null, 2), app });

function parsed(text: string): Draft {
  try {
    const app: unknown = JSON.parse(text);
    return { text, app: typeof app === "object" && app !== null && !Array.isArray(app) ? (app as App) : null };
  } catch {
    return { text, app: null };
  }
}

function useSchemas(): Schemas | null {
  const [schemas, setSchemas] = useState<Schemas | null>(null);
  useEffect(() => {
    let current = true;
    api.schemas().then(
      (schemas) => current && setSchemas(schemas),
      // Without it nothing is checked before it is sent, and the server has the last word anyway.
      () => {},
    );
    return () => {
      current = false;
    };
  }, []);
  return schemas;
}

interface EditorProps {
  initial: App;
  /** The service that is changed; null: a new one. */
  changes: Service | null;
  picture: Picture;
}

export function Create({ picture }: { picture: Picture }) {
  const [group] = useParam("group");
  const [from] = useParam("from");
  const [as] = useParam("as");
  const [copied, setCopied] = useState<App | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    if (!from) return;
    let current = true;
    api.app(from).then(
      (app) => current && setCopied({ ...definitionOf(app), id: `${from}-copy` }),
      (error: unknown) => current && setProblem(wordsOf(error)),
    );
    return () => {
      current = false;
    };
  }, [from]);
  const initial = from ? copied : fresh(as ?? (group ? `${group}/` : ""));
  return (
    <>
      <PageHead
        title="Create a service"
        crumbs={
          <li>
            <Link to="services">Services</Link>
          </li>
        }
      />
      {problem && <p className="notice bad">{problem}</p>}
      {initial ? (
        <Editor key={from} initial={initial} changes={null} picture={picture} />
      ) : (
        !problem && <Waiting height={400} />
      )}
    </>
  );
}

export function Edit({ id, picture }: { id: string; picture: Picture }) {
  const [initial, setInitial] = useState<App | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const service = picture.services.get(id);
  useEffect(() => {
    let current = true;
    api.app(id).then(
      (app) => current && setInitial(definitionOf(app)),
      (error: unknown) => current && setProblem(wordsOf(error)),
    );
    return () => {
      current = false;
    };
  }, [id]);
  if (!service) return <Unknown id={id} />;
  return (
    <>
      <PageHead
        title={`Edit ${id.split("/").at(-1)}`}
        crumbs={
          <>
            <li>
              <Link to="services">Services</Link>
            </li>
            <li>
              <Link to="service" params={{ id }}>
                {id}
              </Link>
            </li>
          </>
        }
      />
      {problem && <p className="notice bad">{problem}</p>}
      {initial ? (
        <Editor initial={initial} changes={service} picture={picture} />
      ) : (
        !problem && <Waiting height={400} />
      )}
    </>
  );
}

function Editor({ initial, changes, picture }: EditorProps) {
  const [mode, setMode] = useParam("as-json");
  const [draft, setDraft] = useState(() => draftOf(initial));
  const [refused, setRefused] = useState<ApiError | null>(null);
  const [tried, setTried] = useState(false);
  const [reviewing, setReviewing] = useState(false);
  const [busy, run] = useBusy();
  const form = useRef<HTMLFormElement>(null);
  /** How often it was sent with something wrong in it: then the first that is wrong has the focus. */
  const [misses, setMisses] = useState(0);
  useEffect(() => {
    if (misses > 0) form.current?.querySelector<HTMLElement>("[aria-invalid='true']")?.focus();
  }, [misses]);
  const schemas = useSchemas();
  const json = mode === "yes";
  const change = (draft: Draft) => {
    setDraft(draft);
    setRefused(null);
  };

  const found = useMemo<Fault[]>(() => {
    const { app, text } = draft;
    if (!app) return [{ path: "", words: jsonFault(text)?.words ?? "the definition must be an object" }];
    const byName = missing(app);
    const bySchema = schemas ? faults(app, { $ref: "#/components/schemas/App" }, schemas) : [];
    const taken =
      !changes && app.id && picture.services.has(app.id)
        ? [{ path: "id", words: "there is a service of this name already" }]
        : [];
    return [...bySchema, ...byName, ...taken];
  }, [draft, schemas, changes, picture.services]);
  // That something is still missing is no mistake before one has tried.
  const untouched = (fault: Fault) =>
    !tried && (/needed$|such as/.test(fault.words) || (fault.path === "id" && draft.app?.id === initial.id));
  const shown = [...found.filter((fault) => !untouched(fault)), ...(refused?.faults ?? [])];
  const wrong = tried && shown.length > 0;
  // Without the schema nobody has looked.
  const fine = schemas !== null && found.length === 0 && !refused;
  const changed = draft.app !== null && diff(lines(initial), lines(draft.app)).some((line) => line.kind !== "same");

  const create = (app: App) =>
    run(async () => {
      try {
        const made = await api.createApp(app);
        toast(`${made.id ?? app.id} is created`);
        go(href("service", { id: made.id ?? app.id }));
      } catch (error) {
        setRefused(error instanceof ApiError ? error : new ApiError(0, wordsOf(error)));
      }
    });

  const apply = (app: App) =>
    run(async () => {
      const id = changes?.id ?? "";
      const send = (force: boolean) => api.replaceApp(id, app, force);
      try {
        try {
          await send(false);
        } catch (error) {
          if (!(error instanceof ApiError && error.locked)) throw error;
          setReviewing(false);
          const yes = await confirm({
            title: "A deployment holds this service",
            body: <p>With force it is given up where it is, and this change goes first.</p>,
            verb: "Force",
            danger: true,
          });
          if (!yes) return;
          await send(true);
        }
        toast(`${id} is being changed`);
        go(href("service", { id }));
      } catch (error) {
        setRefused(error instanceof ApiError ? error : new ApiError(0, wordsOf(error)));
      } finally {
        setReviewing(false);
      }
    });

  const submit = () => {
    setTried(true);
    if (found.length > 0 || !draft.app) return setMisses((misses) => misses + 1);
    if (changes) setReviewing(true);
    else void create(draft.app);
  };

  return (
    <form
      ref={form}
      className="editor"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div className="row">
        <Choice
          label="Write it as"
          value={json ? "json" : "form"}
          options={[
            ["form", "Form"],
            ["json", "JSON"],
          ]}
          onChange={(value) => setMode(value === "json" ? "yes" : null, true)}
        />
        <span className="soft small">
          {changes || json
            ? "Both show the same definition; what the form does not know stays as it is."
            : "A definition written for Marathon? Choose JSON and paste it."}
        </span>
      </div>
      {json || !draft.app ? (
        <Json text={draft.text} faults={shown} schemas={schemas} onChange={(text) => change(parsed(text))} />
      ) : (
        <Form app={draft.app} faults={shown} fixed={changes !== null} onChange={(app) => change(draftOf(app))} />
      )}
      {refused && (
        <div className="notice bad" role="alert">
          <span>
            The master refuses: {refused.message}
            {refused.remedy && <span className="soft"> {refused.remedy}</span>}
          </span>
        </div>
      )}
      {shown.length > 0 && draft.app && (
        <Panel title="To be put right" count={shown.length}>
          <ul className="faults pad">
            {shown.map((fault, index) => (
              <li key={index} className="fault">
                <code>{fault.path || "definition"}</code> {fault.words}
              </li>
            ))}
          </ul>
        </Panel>
      )}
      <div className="sticky-foot">
        <button type="submit" className="button main" disabled={busy || (changes !== null && !changed)}>
          {changes ? "Review the change" : "Create"}
        </button>
        <Link to={changes ? "service" : "services"} params={changes ? { id: changes.id } : {}} className="button">
          Cancel
        </Link>
        <span className={`small ${wrong ? "tone-bad" : "soft"}`} role="status">
          {wrong
            ? `${counted(shown.length, "thing")} to be put right`
            : changes && !changed
              ? "Nothing is changed yet."
              : fine && draft.app && `Valid: ${asks(draft.app)}`}
        </span>
      </div>
      {reviewing && changes && draft.app && (
        <Review
          initial={initial}
          next={draft.app}
          service={changes}
          busy={busy}
          onApply={apply}
          onClose={() => setReviewing(false)}
        />
      )}
    </form>
  );
}

function Review(props: {
  initial: App;
  next: App;
  service: Service;
  busy: boolean;
  onApply: (app: App) => void;
  onClose: () => void;
}) {
  const { initial, next, service } = props;
  return (
    <Dialog label="Review the change" className="wide-dialog" onClose={props.onClose}>
      <div className="dialog">
        <h2>Change {service.id}?</h2>
        <p>{effect(initial, next, service)}</p>
        <Diff before={initial} after={next} label="What changes" />
        <div className="buttons">
          <button type="button" className="button" onClick={props.onClose}>
            Back to editing
          </button>
          <button type="button" className="button main" disabled={props.busy} onClick={() => props.onApply(next)}>
            Apply
          </button>
        </div>
      </div>
    </Dialog>
  );
}

/** What will happen, in words. */
function effect(initial: App, next: App, service: Service): string {
  const rest = ({ instances: _, ...rest }: App) => JSON.stringify(lines(rest));
  if (rest(initial) === rest(next)) {
    return `Only the number of instances changes, from ${initial.instances ?? 1} to ${next.instances ?? 1}; the others run on.`;
  }
  if (service.instances === 0) return "It is suspended: the new version is used when it is scaled up.";
  return `A deployment replaces ${every(service.instances)}, as its upgrade strategy says; a rollback brings the present version back.`;
}
