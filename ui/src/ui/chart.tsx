// A small chart of how much was given out and used, over the last minutes. Its words say the same for who cannot see it.

import { duration } from "../lib/format";

export interface Point {
  at: number;
  allocated: number;
  used: number;
}

const width = 300;
const height = 56;

export function UsageChart(props: { points: readonly Point[]; total: number; label: string; show: (value: number) => string }) {
  const { points, total } = props;
  const first = points[0];
  const last = points.at(-1);
  const span = first && last ? last.at - first.at : 0;
  // Zero is always at the foot, and the top is what there is: heights compare between machines.
  const x = (at: number) => (span > 0 && first ? ((at - first.at) / span) * width : width);
  const y = (value: number) => height - (total > 0 ? Math.min(value / total, 1) : 0) * height;
  const line = (of: (point: Point) => number) =>
    points.map((point, index) => `${index ? "L" : "M"}${x(point.at).toFixed(1)} ${y(of(point)).toFixed(1)}`).join("");
  const area = points.length > 1 ? `${line((point) => point.allocated)}L${width} ${height}L0 ${height}Z` : "";
  const peak = points.reduce((most, point) => Math.max(most, point.used), 0);
  const words = last
    ? `${props.label} of the last ${duration(span)}: ${props.show(last.used)} used now, ${props.show(peak)} at most`
    : `${props.label}: nothing measured yet`;
  return (
    <svg className="chart" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={words}>
      <title>{words}</title>
      <path className="base" d={`M0 ${height}H${width}`} />
      {area && <path className="area" d={area} />}
      {points.length > 1 && <path className="allocated-line" d={line((point) => point.allocated)} />}
      {points.length > 1 && <path className="used-line" d={line((point) => point.used)} />}
    </svg>
  );
}
