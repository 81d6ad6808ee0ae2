// A small chart of how much was given out and used. The pointer reads single moments; the words say the same for who cannot
// see it.

import { useState, type PointerEvent } from "react";
import { clock, duration, moment } from "../lib/format";

export interface Point {
  at: number;
  /** Null: not known. */
  allocated: number | null;
  used: number | null;
}

/** What is shown of the time: from `until - spanMs` on, a point each `stepMs`. */
export interface Times {
  until: number;
  spanMs: number;
  stepMs: number;
}

const width = 300;
const height = 56;

interface Props {
  points: readonly Point[];
  times: Times | null;
  /** The top of the chart, where there is a bound. */
  total: number | null;
  label: string;
  show: (value: number) => string;
}

/** Lines through those points that are known, broken where more than one is missing: one is a machine's busy moment. */
function pieces(points: readonly Point[], of: (point: Point) => number | null, stepMs: number) {
  const all: { at: number; value: number }[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    const value = of(point);
    if (value === null) continue;
    if (point.at - last > 2.5 * stepMs) all.push([]);
    all.at(-1)?.push({ at: point.at, value });
    last = point.at;
  }
  return all;
}

export function UsageChart({ points, times, total, label, show }: Props) {
  const [pointed, setPointed] = useState<number | null>(null);
  const last = points.at(-1);
  const { until, spanMs, stepMs } = times ?? { until: 0, spanMs: 1, stepMs: 1 };
  const largest = points.reduce((most, { used, allocated }) => Math.max(most, used ?? 0, allocated ?? 0), 0);
  // Zero is always at the foot, and the top is what there is: heights compare between machines.
  const top = total || largest * 1.1 || 1;
  const x = (at: number) => (1 - (until - at) / spanMs) * width;
  const y = (value: number) => height - Math.min(value / top, 1) * height;
  const draw = (piece: readonly { at: number; value: number }[]) =>
    piece
      // A point is the average of the step that begins there.
      .map(({ at, value }, index) => {
        const to = Math.min(at + stepMs, until);
        return `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}L${x(to).toFixed(1)} ${y(value).toFixed(1)}`;
      })
      .join("");
  const allocated = pieces(points, (point) => point.allocated, stepMs);
  const used = pieces(points, (point) => point.used, stepMs);
  const areas = allocated.map((piece) => {
    const [first, end] = [piece[0], piece.at(-1)];
    return first && end
      ? `${draw(piece)}L${x(Math.min(end.at + stepMs, until)).toFixed(1)} ${height}L${x(first.at).toFixed(1)} ${height}Z`
      : "";
  });
  const peak = points.reduce((most, point) => Math.max(most, point.used ?? 0), 0);
  const words =
    last && times
      ? `${label} of the last ${duration(spanMs)}: ${last.used === null ? "" : `${show(last.used)} used now, ${show(peak)} at most, `}${last.allocated === null ? "" : `${show(last.allocated)} given out`}`
      : `${label}: nothing measured yet`;
  const shown = pointed === null ? null : (points[pointed] ?? null);
  const point = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = until - (1 - (event.clientX - box.left) / box.width) * spanMs;
    let nearest: number | null = null;
    for (const [index, { at: begun }] of points.entries()) {
      const far = Math.abs(begun + stepMs / 2 - at);
      const known = nearest === null ? Number.POSITIVE_INFINITY : Math.abs((points[nearest]?.at ?? 0) + stepMs / 2 - at);
      if (far < known) nearest = index;
    }
    setPointed(nearest);
  };
  return (
    <div className="chart-box">
      <svg
        className="chart"
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={words}
        onPointerMove={point}
        onPointerLeave={() => setPointed(null)}
      >
        <path className="base" d={`M0 ${height}H${width}`} />
        {areas.map((area, index) => area && <path key={index} className="area" d={area} />)}
        {allocated.map((piece, index) => (
          <path key={index} className="allocated-line" d={draw(piece)} />
        ))}
        {used.map((piece, index) => (
          <path key={index} className="used-line" d={draw(piece)} />
        ))}
        {shown && <path className="pointed" d={`M${x(shown.at + stepMs / 2).toFixed(1)} 0V${height}`} />}
      </svg>
      <div className="chart-foot number" aria-hidden="true">
        {shown ? (
          <>
            <span>{spanMs > 12 * 3_600_000 ? moment(shown.at).slice(5, 16) : clock(shown.at).slice(0, 5)}</span>
            <span>
              {shown.used !== null && `${show(shown.used)} used`}
              {shown.used !== null && shown.allocated !== null && " · "}
              {shown.allocated !== null && `${show(shown.allocated)} given`}
            </span>
          </>
        ) : times && points.length > 0 ? (
          <>
            <span>−{duration(spanMs)}</span>
            <span>now</span>
          </>
        ) : (
          <span>nothing measured yet</span>
        )}
      </div>
    </div>
  );
}
