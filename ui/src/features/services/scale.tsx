// Asking how many instances there should be.

import { useEffect, useState, useSyncExternalStore } from "react";
import { useAsked } from "../../api/asked";
import { explain, mostInstances } from "../../api/client";
import type { Explanation, Service } from "../../api/types";
import { bytes, count, counted, cpuWords } from "../../lib/format";
import { Dialog } from "../../ui/dialog";
import { Field } from "../../ui/primitives";
import { scaleTo } from "../actions";

let asked: Service | null = null;
const listeners = new Set<() => void>();

function set(service: Service | null) {
  asked = service;
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Opens the dialog, from wherever. */
export const askScale = (service: Service) => set(service);

/** Where it is shown; once, in the frame. */
export function ScaleDialog() {
  const service = useSyncExternalStore(subscribe, () => asked);
  return service && <Ask key={service.id} service={service} onClose={() => set(null)} />;
}

function Ask({ service, onClose }: { service: Service; onClose: () => void }) {
  const [text, setText] = useState(String(service.instances));
  const number = /^\d+$/.test(text.trim()) ? Number(text) : null;
  const more = (number ?? 0) - service.instances;
  const asking = useSettled(Math.min(Math.max(more, 0), mostInstances));
  const { value: answer } = useAsked(`${service.id} ${asking}`, async () =>
    asking > 0 ? explain(service.id, asking) : null,
  );
  const apply = () => {
    if (number === null) return;
    onClose();
    void scaleTo(service, number);
  };
  return (
    <Dialog label={`Scale ${service.id}`} onClose={onClose}>
      <form
        className="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <h2>Scale {service.id}</h2>
        <Field label="Instances" fault={number === null ? "a whole number, 0 or more" : undefined}>
          {(attributes) => (
            <input
              {...attributes}
              inputMode="numeric"
              autoFocus
              value={text}
              onFocus={(event) => event.target.select()}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
        <input
          type="range"
          aria-label="Instances, by a slider"
          min={0}
          max={Math.max(10, service.instances * 3)}
          value={number ?? 0}
          onChange={(event) => setText(event.target.value)}
        />
        <p className="soft" style={{ minHeight: "3em" }}>
          {words(service, number, more)}
          {more > 0 && <> {answer ? place(answer, more) : "Whether there is room is being asked…"}</>}
        </p>
        <div className="buttons">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button main" disabled={number === null || more === 0}>
            Scale
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** The number once it has stood for a moment: a slider that is drawn asks once. */
function useSettled(number: number): number {
  const [settled, settle] = useState(number);
  useEffect(() => {
    const timer = setTimeout(() => settle(number), 200);
    return () => clearTimeout(timer);
  }, [number]);
  return settled;
}

/** Machines that are named; the others are counted. */
const named = 3;

/** Whether they fit, and where they would go. */
function place({ several }: Explanation, more: number) {
  if (!several) return null;
  const { instances, fitting, places, obstacle } = several;
  const on = places.slice(0, named).map(({ hostname, instances }) => `${instances} on ${hostname}`);
  if (places.length > named) on.push(`the others on ${counted(places.length - named, "more machine")}`);
  const where = on.join(", ");
  // Of very many, only so many are tried.
  const first = more > instances ? "the first " : "";
  if (!obstacle) return `There is room${first && ` for ${first}${count(instances)}`}: ${where}.`;
  return (
    <span className="tone-bad">
      {fitting === 0 ? "None fits now" : `Only ${count(fitting)} of ${first}${count(instances)} fit now (${where})`}:{" "}
      {obstacle.summary}.
    </span>
  );
}

function words(service: Service, number: number | null, more: number): string {
  if (number === null || more === 0) return "As it is now.";
  const each = (times: number) => `${cpuWords(service.cpus_milli * times)} and ${bytes(service.mem * times)}`;
  if (number === 0) return "All instances will be stopped; the definition stays.";
  return more > 0
    ? `${counted(more, "instance")} more: ${each(more)} on top.`
    : `${counted(-more, "instance")} less: ${each(-more)} become free.`;
}
