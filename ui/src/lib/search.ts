// How well a few typed letters fit a text: for the command palette and for filters.

/**
 * Higher is better, 0: not at all. All words of the query must be found; the beginning of a word counts more than its middle,
 * and letters in order with gaps count least.
 */
export function score(query: string, text: string): number {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return 1;
  const within = text.toLowerCase();
  let sum = 0;
  for (const word of words) {
    const found = wordScore(word, within);
    if (found === 0) return 0;
    sum += found;
  }
  // Of two that fit equally well the shorter is meant.
  return sum / words.length + 1 / (2 + within.length);
}

function wordScore(word: string, text: string): number {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (at === 0) return 100;
    if (/[^a-z0-9]/.test(text[at - 1] ?? "")) return 80;
  }
  if (text.includes(word)) return 60;
  let at = -1;
  let gaps = 0;
  for (const letter of word) {
    const next = text.indexOf(letter, at + 1);
    if (next < 0) return 0;
    gaps += next - at - 1;
    at = next;
  }
  return word.length > 2 ? 20 / (1 + gaps / word.length) : 0;
}

/** The best of a list, best first. */
export function best<T>(query: string, list: Iterable<T>, text: (item: T) => string, most: number): T[] {
  const found: { item: T; fits: number }[] = [];
  for (const item of list) {
    const fits = score(query, text(item));
    if (fits > 0) found.push({ item, fits });
  }
  return found
    .sort((a, b) => b.fits - a.fits)
    .slice(0, most)
    .map(({ item }) => item);
}

/** Whether a text has every word of a filter; quicker than `score`, for long lists. */
export function has(filter: string): (text: string) => boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return () => true;
  return (text) => {
    const within = text.toLowerCase();
    return words.every((word) => within.includes(word));
  };
}
