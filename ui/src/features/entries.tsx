// Entries of the journal as a list; thousands of them, of which those in sight are in the page.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { wordsOf } from "../api/client";
import { remembered, type Entry } from "../api/journal";
import { pastEvents } from "../api/past";
import type { Picture } from "../api/picture";
import { clock, moment, shortTask } from "../lib/format";
import { Link } from "../ui/link";
import { Empty, State } from "../ui/primitives";

const rowHeight = 33;
const today = () => new Date().setHours(0, 0, 0, 0);

/** Earlier ones that are read at once. */
const page = 300;

/** What of the journal fits, and what the master remembers of before: a piece of it at once, more when it is wanted. */
export function PastEntries(props: {
  picture: Picture;
  journal?: readonly Entry[];
  /** What the master is asked for. */
  wanted: { q?: string; only?: string };
  /** And what of that belongs here. */
  fits: (entry: Entry) => boolean;
  onCount?: (count: number) => void;
  /** A person left something out. */
  filtered?: boolean;
}) {
  const { picture, wanted, fits, onCount } = props;
  const key = `${wanted.q ?? ""} ${wanted.only ?? ""}`;
  const [before, setBefore] = useState<{ key: string; entries: readonly Entry[]; next: string | null } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const mine = before?.key === key ? before : null;
  const next = mine ? mine.next : picture.earlier;
  const journal = props.journal ?? picture.journal;
  const shown = useMemo(() => [...(mine?.entries ?? []), ...journal].filter(fits), [mine, journal, key]);
  const newest = useRef(key);
  newest.current = key;
  const read = async () => {
    if (!next) return;
    setBusy(true);
    try {
      const { events, next: after } = await pastEvents({ ...wanted, before: next, limit: page });
      if (newest.current !== key) return;
      const entries = [...events.reverse().map(remembered), ...(mine?.entries ?? [])];
      setBefore({ key, entries, next: after });
      setProblem(null);
    } catch (error) {
      setProblem(wordsOf(error));
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => onCount?.(shown.length), [shown.length, onCount]);
  const none = shown.length === 0;
  const earlier = next && (
    <button type="button" className="button" disabled={busy} onClick={() => void read()}>
      {none ? "Look in what was earlier" : "Earlier"}
    </button>
  );
  return (
    <>
      {none ? (
        <Empty>
          <p>
            {props.filtered
              ? "No event matches."
              : earlier
                ? "None of the newest events is about it."
                : "Nothing here yet. The list fills as things happen."}
          </p>
          {(earlier || props.filtered) && (
            <div className="row">
              {earlier}
              {props.filtered && (
                <Link to="events" className="button">
                  Show all
                </Link>
              )}
            </div>
          )}
        </Empty>
      ) : (
        <Entries entries={shown} />
      )}
      {problem && <p className="pad fault">{problem}</p>}
      {!none && earlier && <div className="pad">{earlier}</div>}
    </>
  );
}

function Entries({ entries }: { entries: readonly Entry[] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    getItemKey: (index) => entries[entries.length - 1 - index]?.id ?? index,
    overscan: 20,
  });
  return (
    <div className="scroll tall virtual" ref={scroller} tabIndex={0} role="region" aria-label="Events, newest first">
      <ol className="entries past" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map((item) => {
          // Newest first.
          const entry = entries[entries.length - 1 - item.index];
          return (
            entry && (
              <li
                key={item.key}
                data-index={item.index}
                className={item.index === entries.length - 1 ? "last" : undefined}
                ref={virtualizer.measureElement}
                style={{ transform: `translateY(${item.start}px)` }}
              >
                <time className="number soft" title={moment(entry.at)} dateTime={new Date(entry.at).toISOString()}>
                  {entry.at < today() ? moment(entry.at).slice(5) : clock(entry.at)}
                </time>
                <span className="soft entry-kind">{entry.kind}</span>
                <span className="entry-subject">{subject(entry)}</span>
                <span className="entry-words">
                  <State tone={entry.tone}>
                    <span className="wrap" style={{ whiteSpace: "normal" }}>
                      {entry.words}
                    </span>
                  </State>
                </span>
              </li>
            )
          );
        })}
      </ol>
    </div>
  );
}

function subject(entry: Entry) {
  const words =
    entry.kind === "task" ? (
      <>
        {entry.services[0] ?? ""} <span className="mono soft">{shortTask(entry.subject)}</span>
      </>
    ) : entry.kind === "deployment" ? (
      entry.services.join(", ")
    ) : (
      entry.subject
    );
  if (!entry.to) return words;
  return (
    <Link to={entry.to[0]} params={entry.to[1]}>
      {words}
    </Link>
  );
}
