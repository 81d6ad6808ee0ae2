// Keeps the picture: opens the event stream, reads the lists when told to, folds frames, and tells React at most 20 times a
// second. The lists come first and tasks after them, page by page: of 100,000 tasks the first page is shown at once.

import { useEffect, useSyncExternalStore } from "react";
import * as api from "./client";
import { remembered } from "./journal";
import { pastEvents } from "./past";
import { complete, emptyPicture, fold, withFrameworks, withLists, withTasks, type Frame, type Picture } from "./picture";
import type { StreamName } from "./types";
import { manyTasks } from "../ui/settled";

const names: StreamName[] = [
  "node",
  "node_removed",
  "usage",
  "service",
  "service_removed",
  "task",
  "task_removed",
  "deployment",
  "role",
  "role_removed",
  "framework",
  "framework_removed",
  "alarm",
];

/** Beyond this many machines their use is not followed by the second but read now and then, by pages that show it. */
export const mostFollowed = 500;
const withoutUsage = "?only=node,service,task,deployment,role,framework,alarm";
const readUsageEvery = 30_000;

/** What frameworks have and hold is read when the stream tells of them or their tasks, and now and then: of offers it does not tell. */
const readFrameworksEvery = 30_000;
const frameworksGather = 1000;

/** How long frames gather before they are folded, and with many tasks, where a fold is dear. */
const pause = 50;
const longPause = 400;
const retryAfter = 3000;

/** Events of before that are read at once; earlier ones when somebody wants them. */
const remembers = 300;

class Live {
  private picture: Picture = emptyPicture;
  private listeners = new Set<() => void>();
  private source: EventSource | null = null;
  private frames: Frame[] = [];
  private scheduled = false;
  /** Counts readings of the lists, so that one that was overtaken stops. */
  private reading = 0;
  /** Frames wait while the lists are being read. */
  private held = false;
  /** Tasks heard of while pages of tasks are being read. */
  private newer: Set<string> | null = null;
  private large = false;
  /** How many look at frameworks. */
  private watchers = 0;
  private readsFrameworks = false;

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    if (!this.source) this.open();
    return () => this.listeners.delete(listener);
  };

  snapshot = () => this.picture;

  private open() {
    this.source?.close();
    const source = new EventSource(`/hansa/v1/events${this.large ? withoutUsage : ""}`);
    this.source = source;
    source.addEventListener("resync", () => void this.read());
    source.onerror = () => {
      this.set({ ...this.picture, live: false, problem: "The master does not answer. Trying again…" });
      // After a refusal the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.source === source && this.open(), retryAfter);
    };
    source.onopen = () => {
      if (this.picture.cluster) this.set({ ...this.picture, live: true, problem: null });
    };
    for (const name of names) {
      source.addEventListener(name, (event) => {
        const frame = { name, data: JSON.parse((event as MessageEvent<string>).data) } as Frame;
        if (frame.name === "task" || frame.name === "task_removed") this.newer?.add(frame.data.id);
        if (frame.name === "framework" || frame.name === "framework_removed") this.frameworksSoon();
        if (frame.name === "task" && frame.data.framework) this.frameworksSoon();
        this.frames.push(frame);
        this.schedule();
      });
    }
  }

  private async read() {
    this.reading += 1;
    const mine = this.reading;
    this.held = true;
    this.newer = null;
    this.frames = [];
    try {
      const [cluster, nodes, services, deployments, roles, frameworks] = await Promise.all([
        api.cluster(),
        api.nodes(),
        api.services(),
        api.deployments(),
        api.roles(),
        api.frameworks(),
      ]);
      if (mine !== this.reading) return;
      this.held = false;
      this.newer = new Set();
      for (const { name, data } of this.frames) if (name === "task" || name === "task_removed") this.newer.add(data.id);
      this.set(withLists(this.picture, { cluster, nodes, services, deployments, roles, frameworks }));
      this.adapt(nodes.length);
      await this.readTasks(mine, this.newer);
    } catch (error) {
      if (mine !== this.reading) return;
      this.held = false;
      this.set({ ...this.picture, live: false, problem: api.wordsOf(error) });
      setTimeout(() => mine === this.reading && void this.read(), retryAfter);
    }
  }

  private async readTasks(mine: number, newer: Set<string>) {
    const read = new Set<string>();
    let after: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof api.tasks>> = await api.tasks(after);
      if (mine !== this.reading) return;
      for (const task of page.tasks) read.add(task.id);
      this.set(withTasks(this.picture, page.tasks, newer));
      after = page.next;
    } while (after);
    this.set(complete(this.picture, read, newer));
    this.newer = null;
    try {
      const { events, next } = await pastEvents({ limit: remembers });
      if (mine !== this.reading) return;
      // Newest first, and what was told meanwhile is among it.
      this.set({ ...this.picture, journal: events.reverse().map(remembered), earlier: next });
    } catch {
      // The journal then begins here; no reason to read all of it again.
    }
  }

  /** The use of very many machines would be most of what is sent, and nobody reads it by the second. */
  private adapt(machines: number) {
    if (machines <= mostFollowed || this.large) return;
    this.large = true;
    this.open();
  }

  /** Keeps the machines' use fresh while somebody looks at it; in a small cluster the stream does. */
  watchUsage = (node: string | null) => {
    const read = () => {
      if (document.hidden || this.held || !this.large) return;
      const add = (list: Awaited<ReturnType<typeof api.usages>>) => {
        for (const { id, used, machine } of list)
          if (used && machine) this.frames.push({ name: "usage", data: { id, used, machine } });
        this.schedule();
      };
      api.usages(node).then(add, () => {});
    };
    read();
    const timer = setInterval(read, readUsageEvery);
    return () => clearInterval(timer);
  };

  /** Keeps what frameworks have and hold fresh while somebody looks at it. */
  watchFrameworks = () => {
    this.watchers += 1;
    this.frameworksSoon();
    const timer = setInterval(this.frameworksSoon, readFrameworksEvery);
    return () => {
      this.watchers -= 1;
      clearInterval(timer);
    };
  };

  private frameworksSoon = () => {
    if (this.watchers === 0 || this.readsFrameworks || document.hidden) return;
    this.readsFrameworks = true;
    setTimeout(() => {
      this.readsFrameworks = false;
      const mine = this.reading;
      api.frameworks().then(
        (list) => mine === this.reading && !this.held && this.set(withFrameworks(this.picture, list)),
        () => {},
      );
    }, frameworksGather);
  };

  private set(picture: Picture) {
    this.picture = picture;
    this.schedule();
  }

  private schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    // Not requestAnimationFrame: a hidden tab still keeps its picture.
    setTimeout(() => this.tell(), this.picture.tasks.size > manyTasks ? longPause : pause);
  }

  private tell() {
    this.scheduled = false;
    const now = Date.now();
    if (!this.held && this.frames.length > 0) {
      const frames = this.frames;
      this.frames = [];
      this.picture = fold(this.picture, frames, now);
    }
    for (const listener of this.listeners) listener();
  }
}

const live = new Live();

/** The picture as it is now; renders again when it changes. */
export const usePicture = () => useSyncExternalStore(live.subscribe, live.snapshot);

/** For pages that show what machines use: all of them (null), or one. */
export const useFreshUsage = (node: string | null) => useEffect(() => live.watchUsage(node), [node]);

/** For pages that show what frameworks have and hold. */
export const useFreshFrameworks = () => useEffect(() => live.watchFrameworks(), []);

/** The picture without rendering again, for what is asked once. */
export const pictureNow = () => live.snapshot();
