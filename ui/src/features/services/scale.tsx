// Asking how many instances there should be.

import { useDeferredValue, useState, useSyncExternalStore } from "react";
import { useAsked } from "../../api/asked";
import { explain } from "../../api/client";
import type { Explanation, Service } from "../../api/types";
import { bytes, counted, cpus } from "../../lib/format";
import { Dialog } from "../../ui/dialog";
import { Field } from "../../ui/primitives";
import { scaleTo } from "../actions";

/** Instances beyond are not asked about: each is a placement pass. */
const most = 100;

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
  const wanted = useDeferredValue(Math.min(Math.max(more, 1), most));
  const { value: answer } = useAsked(`${service.id} ${wanted}`, () => explain(service.id, wanted));
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
          {more > 0 && answer && <> {places(answer)}</>}
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

/** Where they would go, if all do; else how many find no place, and why. */
function places({ instances, placed, places, summary }: Explanation) {
  if (placed === 0) return <span className="fault">None of them fits now: {summary}.</span>;
  if (placed < instances)
    return (
      <span className="fault">
        Only {placed} of {counted(instances, "instance")} would find a place now: {summary}.
      </span>
    );
  const names = places
    .slice(0, 3)
    .map(({ hostname, instances: there }) => (there > 1 ? `${hostname} (${there})` : hostname))
    .join(", ");
  const rest = places.length > 3 ? ` and ${counted(places.length - 3, "other machine")}` : "";
  return `${instances > 1 ? "They" : "It"} would go to ${names}${rest}.`;
}

function words(service: Service, number: number | null, more: number): string {
  if (number === null || more === 0) return "As it is now.";
  const each = (times: number) => `${cpus(service.cpus_milli * times)} cpus and ${bytes(service.mem * times)}`;
  if (number === 0) return "All instances will be stopped; the definition stays.";
  return more > 0
    ? `${counted(more, "instance")} more: ${each(more)} on top.`
    : `${counted(-more, "instance")} less: ${each(-more)} become free.`;
}
