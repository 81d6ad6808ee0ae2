// A small framework of our own that speaks Mesos' scheduler API to the master, as those of others do: what the console shows of
// frameworks, reservations and roles at their limit is then real.

import { ask } from "./browser";
import { base } from "./chromium";

const address = `${base}/api/v1/scheduler`;

export interface Resource {
  name: string;
  type: "SCALAR" | "RANGES";
  scalar?: { value: number };
  reservations?: { type: "DYNAMIC" | "STATIC"; role: string; principal?: string }[];
  allocation_info?: { role: string };
  disk?: { persistence: { id: string; principal?: string }; volume: { container_path: string; mode: "RW" } };
}

export interface Offer {
  id: { value: string };
  agent_id: { value: string };
  hostname: string;
  resources: Resource[];
  allocation_info: { role: string };
}

interface Status {
  task_id: { value: string };
  agent_id: { value: string };
  state: string;
  message?: string;
  uuid?: string;
}

interface SchedulerEvent {
  type: string;
  subscribed?: { framework_id: { value: string } };
  offers?: { offers: Offer[] };
  rescind?: { offer_id: { value: string } };
  update?: { status: Status };
  error?: { message: string };
}

export interface Info {
  name: string;
  roles: readonly string[];
  /** For how long its scheduler may be away, in seconds. */
  failover_timeout?: number;
  principal?: string;
  webui_url?: string;
}

export const scalar = (name: string, value: number): Resource => ({ name, type: "SCALAR", scalar: { value } });

/** The same, set apart for a role by somebody. */
export const reserved = (resource: Resource, role: string, principal: string): Resource => ({
  ...resource,
  reservations: [{ type: "DYNAMIC", role, principal }],
});

/** A volume that stays when its tasks end, on disk that is set apart for a role. */
export const volume = (id: string, mebibytes: number, role: string, principal: string): Resource => ({
  ...reserved(scalar("disk", mebibytes), role, principal),
  disk: { persistence: { id, principal }, volume: { container_path: id, mode: "RW" } },
});

/** A task that takes little; it runs `command`. */
export const taskOf = (id: string, offer: Offer, command: string, resources?: Resource[]) => ({
  name: id,
  task_id: { value: id },
  agent_id: offer.agent_id,
  resources: resources ?? [scalar("cpus", 0.1), scalar("mem", 32)],
  command: { value: command },
});

/** What an operator orders of a machine: `RESERVE_RESOURCES`, `CREATE_VOLUMES` and what takes them back. */
export async function operate(
  type: "RESERVE_RESOURCES" | "UNRESERVE_RESOURCES" | "CREATE_VOLUMES" | "DESTROY_VOLUMES",
  agent: string,
  resources: readonly Resource[],
) {
  const list = type.endsWith("VOLUMES") ? "volumes" : "resources";
  await ask("POST", "/api/v1", { type, [type.toLowerCase()]: { agent_id: { value: agent }, [list]: resources } });
}

export class Scheduler {
  readonly offers = new Map<string, Offer>();
  /** The last state of each task. */
  readonly tasks = new Map<string, string>();
  private readonly waiting = new Set<() => void>();
  private problem: string | null = null;

  private constructor(
    readonly id: string,
    private readonly stream: string,
    private readonly abort: AbortController,
  ) {}

  static async subscribe(info: Info): Promise<Scheduler> {
    const abort = new AbortController();
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({
        type: "SUBSCRIBE",
        subscribe: {
          framework_info: {
            user: "root",
            checkpoint: true,
            capabilities: [{ type: "MULTI_ROLE" }, { type: "RESERVATION_REFINEMENT" }, { type: "PARTITION_AWARE" }],
            ...info,
          },
        },
      }),
      signal: abort.signal,
    });
    if (!response.ok || !response.body) throw new Error(`SUBSCRIBE: ${response.status} ${await response.text()}`);
    const events = records(response.body);
    const first = await events.next();
    const id = !first.done && first.value.subscribed?.framework_id.value;
    if (!id) throw new Error(`SUBSCRIBE: ${JSON.stringify(first.value)}`);
    const scheduler = new Scheduler(id, response.headers.get("Mesos-Stream-Id") ?? "", abort);
    void scheduler.read(events);
    return scheduler;
  }

  private async read(events: AsyncGenerator<SchedulerEvent>) {
    try {
      for await (const event of events) {
        for (const offer of event.offers?.offers ?? []) this.offers.set(offer.id.value, offer);
        if (event.rescind) this.offers.delete(event.rescind.offer_id.value);
        if (event.update) await this.updated(event.update.status);
        if (event.error) this.problem = event.error.message;
        for (const look of this.waiting) look();
      }
    } catch (error) {
      if (!this.abort.signal.aborted) this.problem = String(error);
      for (const look of this.waiting) look();
    }
  }

  private async updated({ task_id, agent_id, state, message, uuid }: Status) {
    this.tasks.set(task_id.value, state);
    if (state === "TASK_ERROR" || state === "TASK_DROPPED") this.problem = `${task_id.value}: ${message}`;
    if (uuid) await this.call({ type: "ACKNOWLEDGE", acknowledge: { agent_id, task_id, uuid } });
  }

  /** Once events have made it so. */
  async until<T>(what: string, look: () => T | undefined | false, patience = 30_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        clearTimeout(timer);
        this.waiting.delete(check);
        finish();
      };
      const timer = setTimeout(() => end(() => reject(new Error(`not within ${patience} ms: ${what}`))), patience);
      const check = () => {
        const { problem } = this;
        if (problem) return end(() => reject(new Error(problem)));
        const found = look();
        if (found) end(() => resolve(found));
      };
      this.waiting.add(check);
      check();
    });
  }

  /** An offer that fits; it is no longer among `offers`. */
  async offer(fits: (offer: Offer) => boolean = () => true): Promise<Offer> {
    const offer = await this.until("an offer", () => [...this.offers.values()].find(fits));
    this.offers.delete(offer.id.value);
    return offer;
  }

  async reached(task: string, state: string) {
    await this.until(`${task} is ${state}`, () => this.tasks.get(task) === state);
  }

  async accept({ id }: Offer, operations: readonly object[], refuse_seconds = 0) {
    await this.call({ type: "ACCEPT", accept: { offer_ids: [id], operations, filters: { refuse_seconds } } });
  }

  async decline({ id }: Offer, refuse_seconds: number) {
    await this.call({ type: "DECLINE", decline: { offer_ids: [id], filters: { refuse_seconds } } });
  }

  /** It goes away without a word, as one that crashes. */
  leave() {
    this.abort.abort();
  }

  async tearDown() {
    await this.call({ type: "TEARDOWN" });
    this.abort.abort();
  }

  private async call(call: object) {
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Mesos-Stream-Id": this.stream },
      body: JSON.stringify({ framework_id: { value: this.id }, ...call }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${JSON.stringify(call)}: ${response.status} ${text}`);
  }
}

/** Each record is its length in bytes, a line's end, and that many bytes of JSON. */
async function* records(body: AsyncIterable<Uint8Array>): AsyncGenerator<SchedulerEvent> {
  let rest = Buffer.alloc(0);
  for await (const chunk of body) {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.indexOf("\n");
      const length = end < 0 ? Number.NaN : Number(rest.subarray(0, end).toString());
      if (!(rest.length >= end + 1 + length)) break;
      yield JSON.parse(rest.subarray(end + 1, end + 1 + length).toString()) as SchedulerEvent;
      rest = rest.subarray(end + 1 + length);
    }
  }
}
