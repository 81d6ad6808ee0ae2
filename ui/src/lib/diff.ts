// What differs between two definitions, line by line.

export interface Line {
  kind: "same" | "added" | "removed";
  text: string;
}

/** An object as lines, its fields in order of name, so that order alone is no difference. */
export const lines = (value: unknown) => JSON.stringify(sorted(value), null, 2).split("\n");

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([name, value]) => [name, sorted(value)]));
}

/** The shortest way from `before` to `after` (longest common subsequence; definitions have hundreds of lines at most). */
export function diff(before: readonly string[], after: readonly string[]): Line[] {
  const width = after.length + 1;
  const longest = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number) => longest[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      longest[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const found: Line[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      found.push({ kind: "same", text: before[i] ?? "" });
      i += 1;
      j += 1;
    } else if (j >= after.length || (i < before.length && at(i + 1, j) >= at(i, j + 1))) {
      found.push({ kind: "removed", text: before[i] ?? "" });
      i += 1;
    } else {
      found.push({ kind: "added", text: after[j] ?? "" });
      j += 1;
    }
  }
  return found;
}

/** A diff with long stretches of sameness left out; null stands for what is left out. */
export function folded(found: readonly Line[], around = 3): (Line | null)[] {
  const near = new Set<number>();
  found.forEach((line, index) => {
    if (line.kind === "same") return;
    for (let i = index - around; i <= index + around; i++) near.add(i);
  });
  const shown: (Line | null)[] = [];
  found.forEach((line, index) => {
    if (near.has(index)) shown.push(line);
    else if (shown.at(-1) !== null) shown.push(null);
  });
  return shown;
}
