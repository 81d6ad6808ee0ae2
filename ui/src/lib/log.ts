// A task's output as lines, with a terminal's colours left out.

/** Sequences that only a terminal understands. */
const sequences = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

export interface Lines {
  /** Whole lines, and the last that is not yet whole. */
  lines: readonly string[];
  /** How many were dropped at the beginning. */
  dropped: number;
}

export const noLines: Lines = { lines: [""], dropped: 0 };

/** Lines after more text has come; at most `most` are kept. */
export function append(log: Lines, text: string, most: number): Lines {
  const [first = "", ...rest] = text.replace(/\r\n/g, "\n").split("\n");
  const lines = [...log.lines];
  lines[lines.length - 1] = shownOf((lines.at(-1) ?? "") + first);
  for (const line of rest) lines.push(shownOf(line));
  const over = Math.max(0, lines.length - most);
  return { lines: over ? lines.slice(over) : lines, dropped: log.dropped + over };
}

/** A carriage return begins the line anew, as on a terminal. */
function shownOf(line: string): string {
  const plain = line.includes("\u001b") ? line.replace(sequences, "") : line;
  return plain.includes("\r") ? (plain.replace(/\r+$/, "").split("\r").at(-1) ?? "") : plain;
}

/** Indices of the lines that have a text, in any case. */
export function find(lines: readonly string[], text: string): number[] {
  const wanted = text.toLowerCase();
  if (!wanted) return [];
  const found: number[] = [];
  lines.forEach((line, index) => {
    if (line.toLowerCase().includes(wanted)) found.push(index);
  });
  return found;
}
