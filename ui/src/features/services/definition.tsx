// A service's definition as it stands, to read and to copy.

import { useEffect, useState } from "react";
import { app, wordsOf } from "../../api/client";
import { definitionOf } from "../../lib/app";
import { lines } from "../../lib/diff";
import { Icon } from "../../ui/icons";
import { Link } from "../../ui/link";
import { Panel, Waiting } from "../../ui/primitives";
import { toast } from "../../ui/toast";

export function Definition({ id }: { id: string }) {
  const [text, setText] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let current = true;
    app(id).then(
      (app) => current && setText(lines(definitionOf(app)).join("\n")),
      (error: unknown) => current && setProblem(wordsOf(error)),
    );
    return () => {
      current = false;
    };
  }, [id]);
  const copy = () =>
    navigator.clipboard.writeText(text ?? "").then(
      () => toast("Copied"),
      () => toast("The browser does not let the console copy; select the text instead", true),
    );
  return (
    <Panel
      title="Definition"
      tools={
        <span className="row">
          <button type="button" className="button plain" disabled={!text} onClick={() => void copy()}>
            <Icon name="copy" /> Copy
          </button>
          <Link to="create" params={{ from: id }} className="button plain">
            Create another like it
          </Link>
        </span>
      }
    >
      {problem && <p className="pad fault">{problem}</p>}
      {text === null ? (
        !problem && <Waiting height={300} />
      ) : (
        <pre className="pad scroll mono" tabIndex={0} aria-label="Definition as JSON">
          {text}
        </pre>
      )}
    </Panel>
  );
}
