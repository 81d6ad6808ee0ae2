// Pieces that know nothing of the cluster.

import type { ReactNode } from "react";
import { percent } from "../lib/format";

export type Tone = "good" | "busy" | "bad" | "calm";

/** A state: a word with a dot. */
export function State({ tone, children, title }: { tone: Tone; children: ReactNode; title?: string }) {
  return (
    <span className={`state ${tone}`} title={title}>
      {children}
    </span>
  );
}

/** A titled box. */
export function Panel(props: { title: string; count?: number; tools?: ReactNode; children: ReactNode; className?: string }) {
  return (
    <section className={`panel ${props.className ?? ""}`} aria-label={props.title}>
      <header>
        <h2>
          {props.title}
          {props.count !== undefined && <span className="count number">{props.count.toLocaleString("en")}</span>}
        </h2>
        {props.tools}
      </header>
      {props.children}
    </section>
  );
}

/** How much of a whole is given out, and how much is really used. */
export function Bar(props: { allocated: number; used: number | null; total: number; label: string }) {
  const share = percent(props.allocated, props.total);
  const used = props.used === null ? null : percent(props.used, props.total);
  const words = `${props.label}: ${share} % allocated${used === null ? "" : `, ${used} % used`}`;
  return (
    <div className="bar" role="img" aria-label={words} title={words}>
      <div className="allocated" style={{ width: `${Math.min(share, 100)}%` }} />
      {used !== null && <div className="used" style={{ width: `${Math.min(used, 100)}%` }} />}
    </div>
  );
}

/** One of a few. */
export function Choice<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}) {
  return (
    <div className="choice" role="group" aria-label={props.label}>
      {props.options.map(([value, words]) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.onChange(value)}>
          {words}
        </button>
      ))}
    </div>
  );
}
