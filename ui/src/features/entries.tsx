// Entries of the journal as a list; thousands of them, of which those in sight are in the page.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import type { Entry } from "../api/journal";
import { clock, moment, shortTask } from "../lib/format";
import { Link } from "../ui/link";
import { Empty, State } from "../ui/primitives";

const rowHeight = 33;

export function Entries({ entries }: { entries: readonly Entry[] }) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    getItemKey: (index) => entries[entries.length - 1 - index]?.id ?? index,
    overscan: 20,
  });
  if (entries.length === 0) {
    return (
      <Empty>
        <p>Nothing here. The list fills as things happen; of what was before the console was opened it knows what the lists tell.</p>
      </Empty>
    );
  }
  return (
    <div className="scroll tall virtual" ref={scroller} tabIndex={0} role="region" aria-label="Events, newest first">
      <ol className="entries" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map((item) => {
          // Newest first.
          const entry = entries[entries.length - 1 - item.index];
          return (
            entry && (
              <li key={item.key} data-index={item.index} ref={virtualizer.measureElement} style={{ transform: `translateY(${item.start}px)` }}>
                <time className="number soft" title={moment(entry.at)} dateTime={new Date(entry.at).toISOString()}>
                  {clock(entry.at)}
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
