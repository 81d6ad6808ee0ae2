// The versions that a service had, what each changes against the present one, and the way back.

import { useEffect, useState } from "react";
import * as api from "../../api/client";
import { wordsOf } from "../../api/client";
import type { App, Service } from "../../api/types";
import { definitionOf } from "../../lib/app";
import { moment } from "../../lib/format";
import { go, href, useParam } from "../../lib/route";
import { confirm } from "../../ui/dialog";
import { Panel, Waiting } from "../../ui/primitives";
import { Since } from "../../ui/time";
import { rollBack } from "../actions";
import { Diff } from "./diff";

export function Versions({ service }: { service: Service }) {
  const [chosen, choose] = useParam("version");
  const [versions, setVersions] = useState<string[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    api.appVersions(service.id).then(
      (versions) => current && setVersions(versions),
      (error: unknown) => current && setProblem(wordsOf(error)),
    );
    return () => {
      current = false;
    };
  }, [service.id, service.version]);
  if (problem) return <p className="notice bad">{problem}</p>;
  if (!versions)
    return (
      <Panel title="Versions">
        <Waiting height={200} />
      </Panel>
    );
  const present = versions[0];
  const shown = versions.find((version) => version === chosen) ?? versions[1] ?? present;
  return (
    <Panel title="Versions" count={versions.length}>
      <div className="versions">
        <ol>
          {versions.map((version) => (
            <li key={version}>
              <button type="button" aria-pressed={version === shown} onClick={() => choose(version)}>
                <span className="number">{moment(Date.parse(version))}</span>
                <span className="soft">{version === present ? "now" : <Since at={Date.parse(version)} ago />}</span>
              </button>
            </li>
          ))}
        </ol>
        {present && shown && <Compare
            key={`${present} ${shown}`}
            service={service}
            present={present}
            other={shown}
            only={versions.length === 1}
          />}
      </div>
    </Panel>
  );
}

function Compare(props: { service: Service; present: string; other: string; only: boolean }) {
  const { service, present, other } = props;
  const [both, setBoth] = useState<[App, App] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const { id } = service;
  useEffect(() => {
    let current = true;
    Promise.all([api.appVersion(id, present), api.appVersion(id, other)]).then(
      ([a, b]) => current && setBoth([definitionOf(a), definitionOf(b)]),
      (error: unknown) => current && setProblem(wordsOf(error)),
    );
    return () => {
      current = false;
    };
  }, [id, present, other]);
  if (problem) return <p className="pad fault">{problem}</p>;
  if (!both) return <Waiting height={160} />;
  const [now, then] = both;
  if (present === other) {
    return (
      <div className="pad stack" style={{ gap: 12 }}>
        <p className="soft">
          {props.only
            ? "Its first version. Each change of its definition makes another, and from here one goes back."
            : "This is what runs now. Choose another version to see what going back to it would change."}
        </p>
      </div>
    );
  }
  const back = async () => {
    const yes = await confirm({
      title: `Go back to the version of ${moment(Date.parse(other))}?`,
      body: (
        <>
          <p>A deployment replaces the instances of {id}. This changes:</p>
          <Diff before={now} after={then} label="What going back changes" />
        </>
      ),
      verb: "Go back",
    });
    // Where one sees it come; here the version that was left stands first, to be gone back to.
    if (yes && (await rollBack(service, other))) go(href("service", { id }));
  };
  return (
    <div className="pad stack" style={{ gap: 12 }}>
      <div className="row">
        <span className="soft small">What going back would change</span>
        <button type="button" className="button" style={{ marginLeft: "auto" }} onClick={() => void back()}>
          Go back to this version
        </button>
      </div>
      <Diff before={now} after={then} label="From the present version to this one" />
    </div>
  );
}
