// The frame around all pages: navigation, the palette, what is asked and told; and which page is shown.

import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { usePicture } from "./api/live";
import type { Picture } from "./api/picture";
import { count } from "./lib/format";
import { go, href, usePlace, type Page } from "./lib/route";
import { Deployments } from "./features/deployments";
import { Events } from "./features/events";
import { FrameworkPage, Frameworks } from "./features/frameworks";
import { Machine } from "./features/machines/machine";
import { Machines } from "./features/machines/machines";
import { nameOf, useNavigation, type Item } from "./features/navigation";
import { Overview } from "./features/overview";
import { Palette } from "./features/palette";
import { Roles } from "./features/roles";
import { Create, Edit } from "./features/services/edit";
import { ScaleDialog } from "./features/services/scale";
import { ServicePage } from "./features/services/service";
import { Services } from "./features/services/services";
import { Catalog, Jobs } from "./features/soon";
import { TaskPage } from "./features/tasks/task";
import { Tasks } from "./features/tasks/tasks";
import { needsPerson } from "./features/trouble";
import { Dialog, Questions } from "./ui/dialog";
import { Unbreakable } from "./ui/broken";
import { Icon } from "./ui/icons";
import { Link } from "./ui/link";
import { Empty, PageHead, State, Waiting } from "./ui/primitives";
import { ThemeButton } from "./ui/theme";
import { Toasts } from "./ui/toast";

/** On a phone these are always in reach, the rest behind "More". */
const inReach = 4;

export function App() {
  const picture = usePicture();
  const { page, params } = usePlace();
  const id = params.get("id");
  const [finding, setFinding] = useState(false);
  const [drawer, setDrawer] = useState(false);
  const main = useRef<HTMLElement>(null);
  const title = titleOf(page, id);

  useEffect(() => {
    document.title = `${title} · Hansa`;
  }, [title]);

  // A new page begins at its top, and the keyboard and the screen reader with it.
  const shown = useRef(`${page} ${id}`);
  useEffect(() => {
    const now = `${page} ${id}`;
    if (shown.current === now) return;
    shown.current = now;
    setDrawer(false);
    window.scrollTo(0, 0);
    // Unless a field of the new page has it already.
    if (!main.current?.contains(document.activeElement)) main.current?.focus({ preventScroll: true });
  }, [page, id]);

  useEffect(() => {
    const open = (event: KeyboardEvent) => {
      if (event.key === "/" && !isTyping(event.target)) {
        const field = main.current?.querySelector<HTMLInputElement>('input[type="search"]');
        if (field) event.preventDefault();
        return field?.focus();
      }
      if (!(event.metaKey || event.ctrlKey) || event.key.toLowerCase() !== "k") return;
      event.preventDefault();
      // What a dialog asks comes first.
      if (document.querySelector("dialog[open]:not(.palette)")) return;
      setFinding((finding) => !finding);
    };
    window.addEventListener("keydown", open);
    return () => window.removeEventListener("keydown", open);
  }, []);

  const tallies = useTallies(picture);
  const items = useNavigation();
  const nav = <Navigation items={items} page={page} tallies={tallies} />;
  return (
    <div className="frame">
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to content
      </a>
      <header className="side">
        <Link to="overview" className="brand">
          <img src="/ui/logo.svg" alt="" /> Hansa
        </Link>
        <button type="button" className="find" onClick={() => setFinding(true)}>
          <Icon name="search" /> Find or do <kbd>Ctrl K</kbd>
        </button>
        <nav aria-label="Pages">{nav}</nav>
        <div className="side-foot">
          <Connection picture={picture} />
          <ThemeButton />
        </div>
      </header>
      <header className="top-bar">
        <Link to="overview" className="brand">
          <img src="/ui/logo.svg" alt="" /> Hansa
        </Link>
        <Connection picture={picture} />
        <ThemeButton />
        <button type="button" className="icon-button" aria-label="Find or do anything" onClick={() => setFinding(true)}>
          <Icon name="search" />
        </button>
      </header>
      <div className="content">
        <main id="main" ref={main} tabIndex={-1}>
          {picture.problem && (
            <p className="notice bad" role="alert">
              {picture.problem}
            </p>
          )}
          {picture.cluster ? (
            <Unbreakable place={`${page} ${id} ${params.get("tab")}`}>
              <Shown page={page} id={id} picture={picture} />
            </Unbreakable>
          ) : (
            !picture.problem && <Waiting words="Reading the cluster…" />
          )}
        </main>
      </div>
      <nav className="bottom-bar" aria-label="Main pages">
        {items.slice(0, inReach).map((item) => (
          <Link key={item.page} to={item.page} aria-current={isAt(item, page) ? "page" : undefined}>
            <Icon name={item.icon} />
            {item.name}
          </Link>
        ))}
        <button type="button" aria-haspopup="dialog" onClick={() => setDrawer(true)}>
          <Icon name="more" />
          More
        </button>
      </nav>
      {drawer && (
        <Dialog label="All pages" className="drawer" onClose={() => setDrawer(false)}>
          <nav aria-label="All pages" onClick={() => setDrawer(false)}>
            {nav}
          </nav>
        </Dialog>
      )}
      {finding && <Palette onClose={() => setFinding(false)} />}
      <ScaleDialog />
      <Questions />
      <Toasts />
    </div>
  );
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.matches("input, textarea, select") || target.closest("dialog") !== null);

const isAt = (item: Item, page: Page | null) =>
  item.page === page || (page !== null && (item.also?.includes(page) ?? false));

type Tallies = Partial<Record<Page, { words: string; bad?: boolean }>>;

/** How many there are, and how many of them are in trouble if any is. */
const tally = (bad: number, all: number) =>
  bad > 0 ? { words: `${count(bad)} of ${count(all)}`, bad: true } : { words: count(all) };

function useTallies(picture: Picture): Tallies {
  const { cluster, services, nodes, tasks, deployments } = picture;
  return useMemo(() => {
    // Nothing is known yet: that is not none.
    if (!cluster) return {};
    const failing = [...services.values()].filter((service) => needsPerson(service, deployments)).length;
    const lost = [...nodes.values()].filter((node) => node.state === "unreachable").length;
    return {
      services: tally(failing, services.size),
      machines: tally(lost, nodes.size),
      tasks: { words: count(tasks.size) },
      ...(deployments.size > 0 && { deployments: { words: count(deployments.size) } }),
    };
  }, [cluster, services, nodes, tasks, deployments]);
}

function Navigation({ items, page, tallies }: { items: readonly Item[]; page: Page | null; tallies: Tallies }) {
  return (
    <ul className="nav">
      {items.map((item) => {
        const tally = tallies[item.page];
        return (
          <li key={item.page}>
            <Link to={item.page} aria-current={isAt(item, page) ? "page" : undefined}>
              <Icon name={item.icon} />
              {item.name}
              {tally && (
                <span className={`tally ${tally.bad ? "bad" : ""}`} title={tally.bad ? `${tally.words} in trouble` : undefined}>
                  {tally.words}
                  {tally.bad && <span className="hidden"> in trouble</span>}
                </span>
              )}
            </Link>
          </li>
        );
      })}
    </ul>
  );
}

function Connection({ picture }: { picture: Picture }) {
  const { live, cluster, problem } = picture;
  const version = cluster ? `Hansa ${cluster.version}, leadership ${cluster.term}` : undefined;
  if (live)
    return (
      <State tone="good" title={version}>
        live
      </State>
    );
  return <State tone={problem ? "bad" : "busy"}>{problem ? "no connection" : "connecting"}</State>;
}

const names: Partial<Record<Page, string>> = {
  create: "Create a service",
  edit: "Edit",
  service: "Service",
  task: "Task",
  machine: "Machine",
  framework: "Framework",
};

function titleOf(page: Page | null, id: string | null): string {
  if (page === null) return "Not found";
  const name = names[page] ?? nameOf(page);
  return name && id && names[page] ? `${name} ${id}` : (name ?? id ?? page);
}

function Shown({ page, id, picture }: { page: Page | null; id: string | null; picture: Picture }): ReactNode {
  switch (page) {
    case "overview":
      return <Overview picture={picture} />;
    case "services":
      return <Services picture={picture} />;
    case "service":
      return <ServicePage key={id} id={id ?? ""} picture={picture} />;
    case "create":
      return <Create picture={picture} />;
    case "edit":
      return <Edit key={id} id={id ?? ""} picture={picture} />;
    case "deployments":
      return <Deployments picture={picture} />;
    case "tasks":
      return <Tasks picture={picture} />;
    case "task":
      return <TaskPage key={id} id={id ?? ""} picture={picture} />;
    case "machines":
      return <Machines picture={picture} />;
    case "machine":
      return <Machine key={id} id={id ?? ""} picture={picture} />;
    case "frameworks":
    case "framework":
      return page === "framework" ? <FrameworkPage key={id} id={id ?? ""} picture={picture} /> : <Frameworks picture={picture} />;
    case "jobs":
      return <Jobs />;
    case "catalog":
      return <Catalog />;
    case "roles":
      return <Roles picture={picture} />;
    case "events":
      return <Events picture={picture} />;
    default:
      return (
        <>
          <PageHead title="There is no such page" />
          <section className="panel">
            <Empty>
              <p>The address leads nowhere.</p>
              <button type="button" className="button" onClick={() => go(href("overview"))}>
                To the overview
              </button>
            </Empty>
          </section>
        </>
      );
  }
}
