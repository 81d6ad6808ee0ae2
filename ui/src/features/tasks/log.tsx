// A task's output: follows its end while one stands there, finds text in it, keeps only so many lines.

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { followLog, wordsOf, type Output } from "../../api/client";
import { count } from "../../lib/format";
import { append, find, noLines } from "../../lib/log";
import { Search } from "../../ui/primitives";

const kept = 20_000;
const tails = [64 << 10, 1 << 20, 16 << 20] as const;
const lineHeight = 18;

interface Props {
  task: string;
  file: Output;
  node: string | null;
  /** Where to look when there is nothing here. */
  other: Output;
  onOther: () => void;
  /** Its task has ended: nothing is left to be followed. */
  ended: boolean;
}

export function Log({ task, file, node, other, onOther, ended }: Props) {
  const [tail, setTail] = useState<number>(tails[0]);
  const [log, setLog] = useState(noLines);
  const [problem, setProblem] = useState<string | null>(null);
  const [over, setOver] = useState(false);
  const [size, setSize] = useState(0);
  const [query, setQuery] = useState("");
  const [hit, setHit] = useState(0);
  const [follows, setFollows] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  /** When it was last scrolled to what was found: that scrolling is no wish to follow. */
  const jumped = useRef(0);

  useEffect(() => {
    const abort = new AbortController();
    let waiting = "";
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      timer = undefined;
      const text = waiting;
      waiting = "";
      setLog((log) => append(log, text, kept));
      setSize((size) => size + new TextEncoder().encode(text).length);
    };
    // Chunks are many and small; a page that renders for each is busy with that alone.
    const add = (text: string) => {
      waiting += text;
      timer ??= setTimeout(flush, 50);
    };
    setLog(noLines);
    setSize(0);
    setOver(false);
    followLog(task, file, node, tail, add, abort.signal).then(
      () => setOver(true),
      (error: unknown) => {
        if (!abort.signal.aborted) setProblem(wordsOf(error));
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [task, file, node, tail]);

  // The last line is empty if the output ends with a line's end.
  const lines = useMemo(() => (log.lines.at(-1) === "" ? log.lines.slice(0, -1) : log.lines), [log]);
  const hits = useMemo(() => find(lines, query), [lines, query]);
  const found = useMemo(() => new Set(hits), [hits]);
  const here = hits[Math.min(hit, hits.length - 1)];
  const virtualizer = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => lineHeight,
    overscan: 30,
  });

  useEffect(() => {
    if (follows && lines.length > 0) virtualizer.scrollToIndex(lines.length - 1, { align: "end" });
  }, [lines.length, follows, virtualizer]);

  const jump = (to: number) => {
    if (hits.length === 0) return;
    const next = (to + hits.length) % hits.length;
    setHit(next);
    setFollows(false);
    jumped.current = Date.now();
    virtualizer.scrollToIndex(hits[next] ?? 0, { align: "center" });
  };

  const more = tails.find((size) => size > tail);
  return (
    <>
      <div className="filters pad">
        <form
          className="log-find"
          onSubmit={(event) => {
            event.preventDefault();
            jump(hit + 1);
          }}
        >
          <Search
            label="Find in the output"
            value={query}
            onChange={(value) => {
              setQuery(value);
              setHit(0);
            }}
          />
        </form>
        <span className="soft small number" role="status">
          {query &&
            (hits.length ? `${count(Math.min(hit, hits.length - 1) + 1)} of ${count(hits.length)}` : "not found")}
        </span>
        {hits.length > 0 && (
          <>
            <button type="button" className="button" onClick={() => jump(hit - 1)}>
              Before
            </button>
            <button type="button" className="button" onClick={() => jump(hit + 1)}>
              Next
            </button>
          </>
        )}
        <span className="row" style={{ marginLeft: "auto" }}>
          {more && size > tail * 0.9 && (
            <button type="button" className="button plain" onClick={() => setTail(more)}>
              Earlier lines
            </button>
          )}
          {over && lines.length > 0 && <span className="soft small">The output has ended.</span>}
          {!over && !ended && (
            <label className="check">
              <input type="checkbox" checked={follows} onChange={(event) => setFollows(event.target.checked)} /> Follow
            </label>
          )}
        </span>
      </div>
      <div
        className="log"
        ref={box}
        tabIndex={0}
        role="region"
        aria-label={`${file} of the task`}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          if (Date.now() - jumped.current < 500) return;
          const atEnd = scrollHeight - scrollTop - clientHeight < 2 * lineHeight;
          if (atEnd !== follows && (atEnd || !virtualizer.isScrolling || virtualizer.scrollDirection === "backward"))
            setFollows(atEnd);
        }}
      >
        {lines.length === 0 ? (
          <span className="log-line soft">
            {problem ?? (over ? `Nothing was written to ${file}.` : `Nothing is written to ${file} yet.`)}{" "}
            {!problem && (
              <button type="button" className="button plain" onClick={onOther}>
                Look at {other}
              </button>
            )}
          </span>
        ) : (
          <div style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
            {virtualizer.getVirtualItems().map((item) => (
              <span
                key={item.key}
                data-index={item.index}
                ref={virtualizer.measureElement}
                className={`log-line ${found.has(item.index) ? "found" : ""} ${item.index === here && query ? "here" : ""}`}
                style={{ position: "absolute", top: 0, left: 0, right: 0, transform: `translateY(${item.start}px)` }}
              >
                {lines[item.index] || " "}
              </span>
            ))}
          </div>
        )}
      </div>
    </>
  );
}
