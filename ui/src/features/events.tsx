// What happened, searchable: as it happens, and as far back as the master remembers.

import { useDeferredValue, useMemo, useState } from "react";
import type { Entry, EntryKind } from "../api/journal";
import type { Picture } from "../api/picture";
import { useParam } from "../lib/route";
import { has } from "../lib/search";
import { Icon } from "../ui/icons";
import { Choice, PageHead, Panel, Search } from "../ui/primitives";
import { PastEntries } from "./entries";

const kinds: readonly (readonly [EntryKind | "all", string])[] = [
  ["all", "All"],
  ["task", "Tasks"],
  ["service", "Services"],
  ["deployment", "Deployments"],
  ["machine", "Machines"],
  ["role", "Roles"],
  ["framework", "Frameworks"],
  ["alarm", "Alarms"],
];

export function Events({ picture }: { picture: Picture }) {
  const [query, setQuery] = useParam("q");
  const [kindParam, setKind] = useParam("kind");
  const [held, hold] = useState<Picture["journal"] | null>(null);
  const [found, setFound] = useState(0);
  const kind = kinds.find(([name]) => name === kindParam)?.[0] ?? "all";
  const words = useDeferredValue(query ?? "");
  const fits = useMemo(() => {
    const said = has(words);
    return (entry: Entry) =>
      (kind === "all" || entry.kind === kind) && said(`${entry.subject} ${entry.services.join(" ")} ${entry.words}`);
  }, [words, kind]);
  const only = kind === "all" ? {} : { only: kind === "machine" ? "node" : kind };
  return (
    <>
      <PageHead title="Events" count={found}>
        <button
          type="button"
          className="button"
          aria-pressed={held !== null}
          onClick={() => hold(held ? null : picture.journal)}
        >
          <Icon name={held ? "play" : "pause"} /> {held ? "Go on" : "Hold"}
        </button>
      </PageHead>
      <div className="filters">
        <Search label="Search events" value={query ?? ""} onChange={(value) => setQuery(value, true)} />
        <Choice
          label="Kind"
          value={kind}
          options={kinds}
          onChange={(value) => setKind(value === "all" ? null : value)}
        />
      </div>
      <Panel title={held ? "Held: newer ones wait" : "Newest first"}>
        <PastEntries
          picture={picture}
          journal={held ?? picture.journal}
          wanted={{ ...(words && { q: words }), ...only }}
          fits={fits}
          onCount={setFound}
          filtered={words !== "" || kind !== "all"}
        />
      </Panel>
    </>
  );
}
