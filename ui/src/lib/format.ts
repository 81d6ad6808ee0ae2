// Numbers and times for people.

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes with a unit, three digits at most: `1.5 GiB`. */
export function bytes(amount: number): string {
  let unit = 0;
  let value = amount;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${digits(value)} ${units[unit]}`;
}

/** Thousandths of a CPU as CPUs: `1.5`. */
export const cpus = (milli: number) => digits(milli / 1000);

/** The same with its unit: `1 cpu`, `1.5 cpus`. */
export const cpuWords = (milli: number) => `${cpus(milli)} ${milli === 1000 ? "cpu" : "cpus"}`;

/** An amount of a kind of resource, with its unit if that is not the kind's name. */
export const amount = (kind: "cpus_milli" | "mem" | "disk" | "gpus_milli", value: number) =>
  kind === "mem" || kind === "disk" ? bytes(value) : cpus(value);

/** An amount with what it is an amount of, wherever nothing else says that: `1 cpu`, `64 MiB`, `2 GPUs`. */
export const unitWords = (kind: Parameters<typeof amount>[0], value: number) =>
  kind === "cpus_milli"
    ? cpuWords(value)
    : kind === "gpus_milli"
      ? `${cpus(value)} ${value === 1000 ? "GPU" : "GPUs"}`
      : bytes(value);

/** Three digits that matter at most, or all before the point: `0.004`, `0.05`, `64`, `105,000`. */
const digits = (value: number) =>
  value.toLocaleString("en", { maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 3 });

/** A share of a whole, as a whole number of per cent; 0 of 0 is 0. */
export const percent = (part: number, whole: number) => (whole > 0 ? Math.round((part / whole) * 100) : 0);

export const count = (value: number) => value.toLocaleString("en");

/** `1 task`, `2 tasks`. */
export const counted = (value: number, one: string, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** How long, in the largest unit that gives at least 1: `3 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

const two = (value: number) => String(value).padStart(2, "0");

/** The time of day here: `14:03:07`. */
export function clock(at: number): string {
  const date = new Date(at);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Day and time here: `2026-11-22 14:03:07`. */
export function moment(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(at)}`;
}

/** `TASK_RUNNING` as `running`. */
export const taskState = (state: string) =>
  state
    .replace(/^TASK_/, "")
    .toLowerCase()
    .replaceAll("_", " ");

/** Resources as Mesos writes them, `cpus:0.5;mem:1024;disk(db):64;ports:[80-90]`, in our words; kinds of which there is nothing are left out. */
export const offered = (text: string) =>
  text
    .split(";")
    .flatMap((one) => {
      const [, name = "", role = "", value = one] = /^([^:([]+)(\([^)]*\))?[^:]*:(.*)$/.exec(one) ?? [];
      const amount = Number(value);
      if (amount === 0) return [];
      const words =
        name === "cpus"
          ? cpuWords(amount * 1000)
          : name === "mem"
            ? bytes(amount * 2 ** 20)
            : name === "disk"
              ? `${bytes(amount * 2 ** 20)} disk`
              : name === "ports"
                ? portWords(value)
                : one;
      return [role && words !== one ? `${words} ${role}` : words];
    })
    .join(", ");

/** `[80-90,443-443]` as `ports 80–90, 443`. */
function portWords(ranges: string): string {
  const words = ranges
    .replace(/[[\]]/g, "")
    .split(",")
    .map((range) => {
      const [from, to] = range.split("-");
      return to === undefined || from === to ? from : `${from}–${to}`;
    })
    .join(", ");
  return `${/\D/.test(words) ? "ports" : "port"} ${words}`;
}

/** How a process ended: `status 3`, `signal 9`. */
export const exitWords = (exit: { code: number } | { signal: number }) =>
  "code" in exit ? `status ${exit.code}` : `signal ${exit.signal}`;

/** Words of the master with its times as they are here. */
export const localTimes = (words: string) =>
  words.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (time) => clock(Date.parse(time)));

/** Words of the master with its amounts as the console writes them: `4,000 cpus`. */
export const legible = (words: string) =>
  words.replace(/(?<![\d.,])\d{4,}(?=(\.\d+)?( to [\d.]+)? (cpus|GPUs|MiB)\b)/g, (digits) => count(Number(digits)));

/** The point of what the master says about a failure or a wait, where there is one line for it. */
export const brief = (words: string) =>
  localTimes(legible(words))
    .replace(/^command exited with (status|signal) (\S+); it wrote to (stderr|stdout): /, "$1 $2: ")
    .replace(/^(.*, )?(\d+ instances?) waits? for a place: /, "no place for $2; ");

/** `all 3 instances`, `its only instance`. */
export const every = (instances: number) =>
  instances === 1 ? "its only instance" : `all ${counted(instances, "instance")}`;

/** A name to sort by, so that `node2` stands before `node10`. */
export const natural = (name: string) => name.replace(/\d+/g, (digits) => digits.padStart(12, "0"));

/** A task as people know it: by what its framework calls it, else by the part of its id that tells it from its siblings. */
export const taskName = (task: { id: string; framework_task?: string | null }) => shortTask(task.framework_task ?? task.id);

/** Ids that frameworks gave are shown whole up to this length. */
const wholeId = 28;

/** The part of a task's id that tells it from its siblings: the last 8 digits of its instance's UUID, or both ends of another id. */
export function shortTask(id: string): string {
  const uuid = /instance-([0-9a-f-]{36})/.exec(id)?.[1];
  if (uuid) return uuid.slice(-8);
  return id.length > wholeId ? `${id.slice(0, wholeId / 2)}…${id.slice(-wholeId / 4)}` : id;
}
