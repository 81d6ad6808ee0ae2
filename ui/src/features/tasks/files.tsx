// A task's sandbox: directories, and files read part by part. Also of tasks that have ended, as long as the machine keeps it.

import { useEffect, useState } from "react";
import { useAsked } from "../../api/asked";
import { ApiError } from "../../api/client";
import * as sandbox from "../../api/sandbox";
import { bytes, count, moment } from "../../lib/format";
import { go, href, useParam } from "../../lib/route";
import { Icon } from "../../ui/icons";
import { Link } from "../../ui/link";
import { Empty, Panel, Waiting } from "../../ui/primitives";
import { Table, type Column } from "../../ui/table";

/** Bytes of a file that are shown at once. */
const part = 256 << 10;

interface Where {
  task: string;
  node: string | null;
}

export function Files({ task, node }: Where) {
  const [path] = useParam("path");
  const [file] = useParam("view");
  return file ? (
    <Viewer key={file} task={task} node={node} path={file} />
  ) : (
    <Directory key={path ?? ""} task={task} node={node} path={path ?? ""} />
  );
}

const parent = (path: string) => path.split("/").slice(0, -1).join("/");
const within = (path: string, name: string) => (path ? `${path}/${name}` : name);
const params = ({ task, node }: Where, more: { path?: string; view?: string }) => ({
  id: task,
  on: node,
  tab: "files",
  ...more,
});

/** `sandbox / logs / app.log`, each but the last a link. */
function Trail({ path, where }: { path: string; where: Where }) {
  const names = path.split("/").filter(Boolean);
  return (
    <nav aria-label="Where in the sandbox" className="trail">
      <ol>
        {["sandbox", ...names].map((name, index) => (
          <li key={index}>
            {index === names.length ? (
              <span aria-current="location">{name}</span>
            ) : (
              <Link to="task" params={params(where, { path: names.slice(0, index).join("/") })}>
                {name}
              </Link>
            )}
          </li>
        ))}
      </ol>
    </nav>
  );
}

interface Row extends sandbox.Entry {
  where: Where;
  path: string;
}

const columns: readonly Column<Row>[] = [
  {
    key: "name",
    head: "Name",
    by: ({ kind, name }) => `${kind === "directory" ? 0 : 1} ${name}`,
    cell: (row) => <Name row={row} />,
  },
  {
    key: "size",
    head: "Size",
    right: true,
    by: ({ kind, size }) => (kind === "file" ? size : -1),
    cell: ({ kind, size }) => (kind === "file" ? bytes(size) : ""),
  },
  {
    key: "modified",
    head: "Written",
    right: true,
    wide: true,
    by: ({ modified }) => modified,
    cell: ({ modified }) => moment(modified),
  },
  { key: "mode", head: "Mode", wide: true, cell: ({ mode }) => <span className="mono soft">{mode}</span> },
  {
    key: "get",
    head: "Get",
    right: true,
    cell: ({ kind, name, path, where }) =>
      kind === "file" && (
        <a
          className="icon-button"
          href={sandbox.filePath(where.task, path, where.node)}
          download={name}
          aria-label={`Download ${name}`}
        >
          <Icon name="download" />
        </a>
      ),
  },
];

function Name({ row: { kind, name, path, where } }: { row: Row }) {
  const icon = <Icon name={kind === "directory" ? "folder" : kind === "link" ? "link" : "file"} />;
  if (kind === "link" || kind === "other") {
    const words = kind === "link" ? "a link; links are not followed" : "no file: a pipe, a socket or a device";
    return (
      <span className="file-name soft" title={words}>
        {icon} {name} <span className="small">{kind === "link" ? "link" : "special"}</span>
      </span>
    );
  }
  return (
    <Link
      className="file-name"
      to="task"
      params={params(where, kind === "directory" ? { path } : { path: parent(path), view: path })}
    >
      {icon} {kind === "directory" ? `${name}/` : name}
    </Link>
  );
}

function Directory({ path, ...where }: Where & { path: string }) {
  const first = useAsked(`${where.task} ${path}`, () => sandbox.files(where.task, path, null, where.node));
  const [more, setMore] = useState<sandbox.Files[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => setMore([]), [first.value]);
  const pages = first.value ? [first.value, ...more] : [];
  const rows: Row[] = pages.flatMap(({ entries }) =>
    entries.map((entry) => ({ ...entry, where, path: within(path, entry.name) })),
  );
  const next = pages.at(-1)?.next;
  const readMore = async () => {
    try {
      const page = await sandbox.files(where.task, path, next ?? null, where.node);
      setMore((more) => [...more, page]);
    } catch (error) {
      setProblem(error instanceof ApiError ? error.message : String(error));
    }
  };
  return (
    <Panel
      title="Files"
      tools={
        <button type="button" className="button plain" onClick={first.again}>
          Read again
        </button>
      }
    >
      <Trail path={path} where={where} />
      {first.problem || problem ? (
        <Unreadable words={first.problem ?? problem ?? ""} />
      ) : !first.value ? (
        <Waiting height={200} />
      ) : rows.length === 0 ? (
        <Empty>
          <p>Nothing is in this directory.</p>
        </Empty>
      ) : (
        <Table label="Entries" columns={columns} rows={rows} rowKey={(row) => row.name} first="name" param="files" />
      )}
      {next && (
        <div className="pad">
          <button type="button" className="button" onClick={() => void readMore()}>
            More: {count(rows.length)} are shown
          </button>
        </div>
      )}
    </Panel>
  );
}

function Unreadable({ words }: { words: string }) {
  return (
    <Empty>
      <p className="sentence">{words}</p>
      <p className="small">A sandbox stays on its machine for some time after its task has ended, then it is removed.</p>
    </Empty>
  );
}

function Viewer({ path, ...where }: Where & { path: string }) {
  const [offset, setOffset] = useState(0);
  const { value, problem, again } = useAsked(`${where.task} ${path} ${offset}`, () =>
    sandbox.content(where.task, path, offset, part, where.node),
  );
  const name = path.split("/").at(-1) ?? path;
  const end = value ? value.offset + value.length : 0;
  const last = value ? Math.max(0, value.size - part) : 0;
  return (
    <Panel
      title={name}
      tools={
        <span className="row">
          <button type="button" className="button plain" onClick={again}>
            Read again
          </button>
          <button
            type="button"
            className="button plain"
            onClick={() => go(href("task", params(where, { path: parent(path) })))}
          >
            Close
          </button>
          <a className="button plain" href={sandbox.filePath(where.task, path, where.node)} download={name}>
            <Icon name="download" /> Download
          </a>
        </span>
      }
    >
      <Trail path={path} where={where} />
      {problem ? (
        <Unreadable words={problem} />
      ) : !value ? (
        <Waiting height={320} />
      ) : value.text === null ? (
        <Empty>
          <p>It is no text ({bytes(value.size)}). Download it to look at it.</p>
        </Empty>
      ) : (
        <>
          {value.size > part && (
            <div className="filters pad">
              <span className="soft small number" role="status">
                bytes {count(value.offset)} to {count(end)} of {count(value.size)}
              </span>
              <span className="row">
                <button type="button" className="button" disabled={value.offset === 0} onClick={() => setOffset(0)}>
                  Beginning
                </button>
                <button
                  type="button"
                  className="button"
                  disabled={value.offset === 0}
                  onClick={() => setOffset(Math.max(0, value.offset - part))}
                >
                  Before
                </button>
                <button
                  type="button"
                  className="button"
                  disabled={end >= value.size}
                  onClick={() => setOffset(Math.min(end, last))}
                >
                  Next
                </button>
                <button
                  type="button"
                  className="button"
                  disabled={end >= value.size}
                  onClick={() => setOffset(last)}
                >
                  End
                </button>
              </span>
            </div>
          )}
          <pre className="log file-text" tabIndex={0} role="region" aria-label={`Content of ${name}`}>
            {value.text || <span className="soft">It is empty.</span>}
          </pre>
        </>
      )}
    </Panel>
  );
}
