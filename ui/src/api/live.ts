// Keeps the picture: opens the event stream, reads the lists when told to, folds frames, and tells React at most once a
// frame of the screen.

import { useSyncExternalStore } from "react";
import * as api from "./client";
import { emptyPicture, fold, fromLists, type Picture } from "./picture";
import type { StreamEvents, StreamName } from "./types";

const names: StreamName[] = [
  "node",
  "node_removed",
  "usage",
  "service",
  "service_removed",
  "task",
  "task_removed",
  "deployment",
  "alarm",
];

class Live {
  private picture: Picture = emptyPicture;
  private listeners = new Set<() => void>();
  private scheduled = false;
  /** Frames that came while the lists were being read; null: not reading. */
  private waiting: [StreamName, StreamEvents[StreamName]][] | null = null;
  private source: EventSource | null = null;

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    if (!this.source) this.open();
    return () => this.listeners.delete(listener);
  };

  snapshot = () => this.picture;

  private open() {
    this.source = new EventSource("/hansa/v1/events");
    this.source.addEventListener("resync", () => void this.read());
    this.source.onerror = () => this.set({ ...this.picture, live: false, problem: "The master does not answer. Trying again…" });
    this.source.onopen = () => {
      if (this.picture.cluster) this.set({ ...this.picture, live: true, problem: null });
    };
    for (const name of names) {
      this.source.addEventListener(name, (event) => {
        const data = JSON.parse((event as MessageEvent<string>).data);
        if (this.waiting) this.waiting.push([name, data]);
        else this.set(fold(this.picture, name, data, Date.now()));
      });
    }
  }

  private async read() {
    if (this.waiting) {
      this.waiting = [];
      return;
    }
    this.waiting = [];
    try {
      const [cluster, nodes, services, tasks, deployments] = await Promise.all([
        api.cluster(),
        api.nodes(),
        api.services(),
        api.tasks(),
        api.deployments(),
      ]);
      let picture = fromLists(cluster, nodes, services, tasks, deployments);
      for (const [name, data] of this.waiting ?? []) picture = fold(picture, name, data, Date.now());
      this.set(picture);
    } catch (error) {
      this.set({ ...this.picture, live: false, problem: String(error instanceof Error ? error.message : error) });
    } finally {
      this.waiting = null;
    }
  }

  private set(picture: Picture) {
    this.picture = picture;
    if (this.scheduled) return;
    this.scheduled = true;
    // Not requestAnimationFrame: a hidden tab still keeps its picture.
    setTimeout(() => {
      this.scheduled = false;
      for (const listener of this.listeners) listener();
    }, 50);
  }
}

const live = new Live();

/** The picture as it is now; renders again when it changes. */
export const usePicture = () => useSyncExternalStore(live.subscribe, live.snapshot);
