// A table: sorted by a click on a column's name (kept in the URL), and with many rows only those in sight are in the page.

import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useMemo, useRef, type ReactNode } from "react";
import { useParam } from "../lib/route";
import { Icon } from "./icons";

export interface Column<T> {
  key: string;
  head: string;
  cell: (row: T) => ReactNode;
  /** What to sort by; without it the column cannot be sorted. */
  by?: (row: T) => string | number;
  right?: boolean;
  /** Left out where the window is narrow. */
  wide?: boolean;
  width?: string;
}

const rowHeight = 35;
/** More rows than this are not all put into the page. */
const inFull = 120;

interface Props<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  /** Sorted by this at first: a column's key, with `-` before it from large to small. Without it as the rows come. */
  first?: string;
  /** The URL's parameter; two tables of one page need two. */
  param?: string;
  /** As high as its rows, however many there are of them. */
  short?: boolean;
}

export function Table<T>(props: Props<T>) {
  const { columns, rowKey, param = "sort" } = props;
  const [chosen, choose] = useParam(param);
  const order = chosen ?? props.first ?? "";
  const [key, down] = order.startsWith("-") ? [order.slice(1), true] : [order, false];
  const by = columns.find((column) => column.key === key)?.by;
  const rows = useMemo(() => (by ? sorted(props.rows, by, down) : props.rows), [props.rows, by, down]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = rows.length > inFull;
  const virtualizer = useVirtualizer({
    count: virtual ? rows.length : 0,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
  });
  const items = virtualizer.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual ? virtualizer.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;
  const shown = virtual ? items.map((item) => [item.index, rows[item.index]] as const) : [...rows.entries()];
  const space = (height: number) =>
    height > 0 && (
      <tr className="space" style={{ height }} aria-hidden="true">
        <td colSpan={columns.length} style={{ padding: 0, height }} />
      </tr>
    );
  return (
    <div
      className={`scroll ${props.short && !virtual ? "" : "tall"} ${virtual ? "virtual" : ""}`}
      ref={scroller}
      tabIndex={0}
      role="region"
      aria-label={props.label}
    >
      <table className="table" aria-rowcount={rows.length + 1}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.key}
                scope="col"
                className={classes(column)}
                style={column.width ? { width: column.width } : undefined}
                aria-sort={column.key === key && column.by ? (down ? "descending" : "ascending") : undefined}
              >
                {column.by ? (
                  <button type="button" onClick={() => choose(column.key === key && !down ? `-${key}` : column.key)}>
                    {column.head}
                    <span aria-hidden="true" style={{ visibility: column.key === key ? "visible" : "hidden" }}>
                      {down && column.key === key ? "↓" : "↑"}
                    </span>
                  </button>
                ) : (
                  column.head
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {space(before)}
          {shown.map(
            ([index, row]) =>
              row !== undefined && (
                <Cells key={rowKey(row)} row={row} columns={columns as readonly Column<unknown>[]} index={index} />
              ),
          )}
          {space(after)}
        </tbody>
      </table>
    </div>
  );
}

/** One row; while others scroll by it is not rendered again. */
const Cells = memo(function Cells(props: { row: unknown; columns: readonly Column<unknown>[]; index: number }) {
  const { row, columns, index } = props;
  return (
    <tr aria-rowindex={index + 2}>
      {columns.map((column) => (
        <td key={column.key} className={classes(column)}>
          {column.cell(row)}
        </td>
      ))}
    </tr>
  );
});

const classes = (column: { right?: boolean; wide?: boolean }) =>
  [column.right && "right number", column.wide && "wide"].filter(Boolean).join(" ") || undefined;

/** Keys are taken once for each row: with 100,000 rows that is what sorting costs. */
function sorted<T>(rows: readonly T[], by: (row: T) => string | number, down: boolean): T[] {
  const sign = down ? -1 : 1;
  return rows
    .map((row) => ({ row, key: by(row) }))
    .sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0))
    .map(({ row }) => row);
}

/** Opens and closes what is below it. */
export function Twist(props: { open: boolean; label: string; onChange: () => void }) {
  return (
    <button
      type="button"
      className="icon-button"
      style={{ width: 22, height: 22 }}
      aria-expanded={props.open}
      aria-label={props.label}
      onClick={props.onChange}
    >
      <Icon name={props.open ? "down" : "right"} />
    </button>
  );
}
