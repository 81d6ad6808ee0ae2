// Pieces that know nothing of the cluster.

import { useEffect, useId, useRef, type ReactNode } from "react";
import { count, percent } from "../lib/format";
import { Icon } from "./icons";
import { showChosen } from "./link";
import type { Tone } from "./tone";

/** A state: a word with a dot. */
export function State({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={`state ${tone}`} title={title}>
      {children}
    </span>
  );
}

/** A table that is read, not worked with; one that is too wide moves below its label, also by keyboard. */
export function Sheet({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={label}>
      <table className="table">{children}</table>
    </div>
  );
}

/** A titled box. */
export function Panel(props: { title: string; count?: number; tools?: ReactNode; children: ReactNode }) {
  return (
    <section className="panel" aria-label={props.title}>
      <header>
        <h2>
          {props.title}
          {props.count !== undefined && <span className="count number">{count(props.count)}</span>}
        </h2>
        {props.tools}
      </header>
      {props.children}
    </section>
  );
}

/** A page's title with what can be done. */
export function PageHead(props: {
  title: ReactNode;
  count?: number | string | undefined;
  crumbs?: ReactNode;
  state?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className="page-head">
      {props.crumbs && (
        <nav className="crumbs" aria-label="You are here">
          <ol className="row" style={{ gap: "2px 6px" }}>
            {props.crumbs}
          </ol>
        </nav>
      )}
      <h1>
        {props.title}{" "}
        {props.count !== undefined && (
          <span className="count">{typeof props.count === "number" ? count(props.count) : props.count}</span>
        )}
      </h1>
      {props.state && <span role="status">{props.state}</span>}
      {props.children && <div className="actions">{props.children}</div>}
    </div>
  );
}

/** How much of a whole is given out, and how much is really used; `mark`: the fair share, in percent. */
export function Bar(props: { allocated: number; used: number | null; total: number; label: string; mark?: number }) {
  const share = percent(props.allocated, props.total);
  const used = props.used === null ? null : percent(props.used, props.total);
  const mark = props.mark === undefined ? "" : `, fair share ${Math.round(props.mark)} %`;
  const words = `${props.label}: ${share} % allocated${used === null ? "" : `, ${used} % used`}${mark}`;
  return (
    <div className="bar" role="img" aria-label={words} title={words}>
      <div className="allocated" style={{ width: `${Math.min(share, 100)}%` }} />
      {used !== null && <div className="used" style={{ width: `${Math.min(used, 100)}%` }} />}
      {props.mark !== undefined && (
        <div className="mark" style={{ left: `calc(${Math.min(props.mark, 100)}% - 1px)` }} />
      )}
    </div>
  );
}

/** One of a few. */
export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, ReactNode])[];
  onChange: (value: T) => void;
}) {
  // On a phone some are beyond its edge; the chosen one is not.
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => showChosen(element.current), [props.value]);
  return (
    <div className="choice" ref={element} role="group" aria-label={props.label}>
      {props.options.map(([value, words]) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onChange(value)}>
          {words}
        </button>
      ))}
    </div>
  );
}

/** A field to find things by. */
export function Search(props: { label: string; value: string; onChange: (value: string) => void }) {
  return (
    <div className="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label={props.label}
        placeholder={props.label}
        value={props.value}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => props.onChange(event.target.value)}
      />
    </div>
  );
}

/** A filter in force, and how to end it. */
export function Chip({ words, onClear }: { words: string; onClear: () => void }) {
  return (
    <span className="chip">
      {words}
      <button type="button" aria-label={`No longer only ${words}`} onClick={onClear}>
        ×
      </button>
    </span>
  );
}

/** A labelled field with help, and what is wrong with it. */
export function Field(props: {
  label: string;
  help?: ReactNode;
  fault?: string | undefined;
  children: (attributes: { id: string; "aria-invalid": boolean; "aria-describedby"?: string }) => ReactNode;
}) {
  const id = useId();
  const told = props.fault ? `${id}-fault` : props.help ? `${id}-help` : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{props.label}</label>
      {props.children({ id, "aria-invalid": Boolean(props.fault), ...(told && { "aria-describedby": told }) })}
      {props.fault ? (
        <span className="fault" id={`${id}-fault`}>
          {props.fault}
        </span>
      ) : (
        props.help && (
          <span className="help" id={`${id}-help`}>
            {props.help}
          </span>
        )
      )}
    </div>
  );
}

/** Nothing there: why, and what to do next. */
export function Empty({ children }: { children: ReactNode }) {
  return <div className="empty">{children}</div>;
}

/** Something is being read; as high as what will come, as far as that is known, so that nothing jumps. */
export function Waiting({ words = "Reading…", height }: { words?: string; height?: number }) {
  return (
    <p className="waiting" role="status" style={height ? { minHeight: height } : undefined}>
      {words}
    </p>
  );
}
