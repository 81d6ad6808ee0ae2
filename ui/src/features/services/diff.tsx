// What differs between two definitions, for eyes.

import { useMemo } from "react";
import { diff, folded, lines } from "../../lib/diff";

const signs = { same: " ", added: "+", removed: "−" } as const;

export function Diff({ before, after, label }: { before: unknown; after: unknown; label: string }) {
  const shown = useMemo(() => folded(diff(lines(before), lines(after))), [before, after]);
  if (!shown.some((line) => line && line.kind !== "same")) return <p className="soft">No difference.</p>;
  return (
    <div className="diff" tabIndex={0} role="region" aria-label={label}>
      {shown.map((line, index) =>
        line ? (
          <span key={index} className={line.kind}>
            <span aria-hidden="true">{signs[line.kind]} </span>
            {line.kind !== "same" && <span className="hidden">{line.kind}: </span>}
            {line.text}
          </span>
        ) : (
          <span key={index} className="left-out">
            ⋯
          </span>
        ),
      )}
    </div>
  );
}
