// All deployments under way, with their steps, and those that ended lately.

import { useMemo } from "react";
import type { Picture } from "../api/picture";
import { clock } from "../lib/format";
import { Link } from "../ui/link";
import { Empty, PageHead, Panel, State } from "../ui/primitives";
import { Progresses } from "./progress";

const recent = 50;

export function Deployments({ picture }: { picture: Picture }) {
  const under = [...picture.deployments.values()];
  const over = useMemo(
    () =>
      picture.journal
        .filter((entry) => entry.kind === "deployment" && /^deployment (succeeded|failed|is done|was given up)/.test(entry.words))
        .slice(-recent)
        .reverse(),
    [picture.journal],
  );
  return (
    <>
      <PageHead title="Deployments" />
      {under.length > 0 ? (
        <Progresses deployments={under} detail />
      ) : (
        <Panel title="Under way" count={0}>
          <Empty>
            <p>
              Nothing is being deployed. A deployment begins whenever a service is created, changed, scaled or
              restarted.
            </p>
            <Link to="services" className="button">
              Services
            </Link>
          </Empty>
        </Panel>
      )}
      {over.length > 0 && (
        <Panel title="Ended lately" count={over.length}>
          <ul className="lines past">
            {over.map((entry) => (
              <li key={entry.id}>
                <span className="number soft small">{clock(entry.at)}</span>
                <State tone={entry.tone}>{entry.words.replace(/^deployment (is )?/, "")}</State>
                <span className="row" style={{ gap: 8 }}>
                  {entry.services.map((id) => (
                    <Link key={id} to="service" params={{ id }}>
                      {id}
                    </Link>
                  ))}
                </span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </>
  );
}
