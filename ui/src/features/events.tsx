// What happened since the console was opened, searchable.

import { useMemo, useState } from "react";
import type { EntryKind } from "../api/journal";
import type { Picture } from "../api/picture";
import { useParam } from "../lib/route";
import { has } from "../lib/search";
import { Icon } from "../ui/icons";
import { Choice, PageHead, Panel, Search } from "../ui/primitives";
import { Entries } from "./entries";

const kinds: readonly (readonly [EntryKind | "all", string])[] = [
  ["all", "All"],
  ["task", "Tasks"],
  ["service", "Services"],
  ["deployment", "Deployments"],
  ["machine", "Machines"],
  ["alarm", "Alarms"],
];

export function Events({ picture }: { picture: Picture }) {
  const [query, setQuery] = useParam("q");
  const [kindParam, setKind] = useParam("kind");
  const [held, hold] = useState<Picture["journal"] | null>(null);
  const kind = kinds.find(([name]) => name === kindParam)?.[0] ?? "all";
  const journal = held ?? picture.journal;
  const shown = useMemo(() => {
    const fits = has(query ?? "");
    return journal.filter(
      (entry) => (kind === "all" || entry.kind === kind) && fits(`${entry.subject} ${entry.services.join(" ")} ${entry.words}`),
    );
  }, [journal, query, kind]);
  return (
    <>
      <PageHead title="Events" count={shown.length}>
        <button type="button" className="button" aria-pressed={held !== null} onClick={() => hold(held ? null : picture.journal)}>
          <Icon name={held ? "play" : "pause"} /> {held ? "Go on" : "Hold"}
        </button>
      </PageHead>
      <div className="filters">
        <Search label="Search events" value={query ?? ""} onChange={(value) => setQuery(value, true)} />
        <Choice label="Kind" value={kind} options={kinds} onChange={(value) => setKind(value === "all" ? null : value)} />
      </div>
      <Panel title={held ? "Held: newer ones wait" : "Newest first"}>
        <Entries entries={shown} />
      </Panel>
    </>
  );
}
