// Use over time, as the master keeps it: which span is looked at (in the URL), and meters with charts.

import { useAsked } from "../api/asked";
import { history, spans, type History, type Span } from "../api/past";
import type { Totals } from "../api/types";
import { amount, percent, unitWords } from "../lib/format";
import { useParam } from "../lib/route";
import { kindNames, kinds, type Kind } from "../lib/sums";
import { UsageChart, type Times } from "../ui/chart";
import { Icon } from "../ui/icons";
import { Bar, Choice } from "../ui/primitives";
import { toast } from "../ui/toast";

export const spanMs: Record<Span, number> = { "15m": 15 * 60_000, "3h": 3 * 3_600_000, "1d": 24 * 3_600_000 };
const names: Record<Span, string> = { "15m": "15 min", "3h": "3 h", "1d": "1 day" };

/** Not asked more often than this, however fine the steps are. */
const seldom = 10_000;

export function useSpan(): Span {
  const [param] = useParam("span");
  return spans.find((span) => span === param) ?? "15m";
}

export function SpanChoice() {
  const [, setParam] = useParam("span");
  return (
    <Choice
      label="How far back"
      value={useSpan()}
      options={spans.map((span) => [span, names[span]] as const)}
      onChange={(span) => setParam(span === "15m" ? null : span, true)}
    />
  );
}

export interface Past {
  history: History | null;
  span: Span;
  problem: string | null;
}

/** What the master remembers of the use of something, renewed as its steps go by. */
export function usePast(of: string): Past {
  const span = useSpan();
  const asked = useAsked(
    `${of} ${span}`,
    () => history(of, span),
    ({ step_ms }) => Math.max(step_ms, seldom),
  );
  return { history: asked.value, span, problem: asked.problem };
}

export const timesOf = ({ history, span }: Past): Times | null =>
  history && { until: history.until, spanMs: spanMs[span], stepMs: history.step_ms };

export const pointsOf = ({ history }: Past, kind: Kind) =>
  (history?.points ?? []).map(({ at, used, allocated }) => ({
    at,
    used: used?.[kind] ?? null,
    allocated: allocated?.[kind] ?? null,
  }));

interface MeterProps {
  kind: Kind;
  total: number;
  allocated: number;
  used: number | null;
  past: Past;
  /** What Prometheus is asked for the same. */
  query?: string;
}

/** How full something is of one kind of resource, now and before. Machines meter CPU and memory only. */
export function Meter({ kind, total, allocated, used, past, query }: MeterProps) {
  const name = kindNames[kind];
  const show = (value: number) => amount(kind, value);
  const metered = kind === "cpus_milli" || kind === "mem";
  return (
    <section className="panel meter" aria-label={name}>
      <div className="meter-head">
        <h2>{name}</h2>
        {query && <CopyQuery name={name} query={query} />}
        <strong>{percent(allocated, total)} %</strong>
      </div>
      <Bar label={name} allocated={allocated} used={metered ? used : null} total={total} />
      <p className="soft small number">
        {show(allocated)} of {unitWords(kind, total)} given out
        <br />
        {metered ? used === null ? "use not known yet" : `${unitWords(kind, used)} really used` : "use is not measured"}
      </p>
      <UsageChart
        label={name}
        points={pointsOf(past, kind).map((point) => (metered ? point : { ...point, used: null }))}
        times={timesOf(past)}
        total={total}
        show={show}
      />
    </section>
  );
}

/** Meters of all kinds that there are. */
export function Meters(props: {
  total: Totals;
  allocated: Totals;
  used: Totals | null;
  past: Past;
  query?: (kind: Kind) => string;
}) {
  const { total, allocated, used, past, query } = props;
  return (
    <div className="meters">
      {kinds
        .filter((kind) => kind !== "gpus_milli" || total.gpus_milli > 0)
        .map((kind) => (
          <Meter
            key={kind}
            kind={kind}
            total={total[kind]}
            allocated={allocated[kind]}
            used={used?.[kind] ?? null}
            past={past}
            {...(query && { query: query(kind) })}
          />
        ))}
    </div>
  );
}

function CopyQuery({ name, query }: { name: string; query: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(query);
      toast("The query for Prometheus is copied");
    } catch {
      // Pages that came without TLS have no clipboard: it can be taken from here.
      toast(query);
    }
  };
  return (
    <button
      type="button"
      className="icon-button copy-query"
      aria-label={`Copy as Prometheus query: ${name}`}
      title={`Copy as Prometheus query: ${query}`}
      onClick={() => void copy()}
    >
      <Icon name="copy" />
    </button>
  );
}
