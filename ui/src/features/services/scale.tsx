// Asking how many instances there should be.

import { useState, useSyncExternalStore } from "react";
import { useAsked } from "../../api/asked";
import { explain } from "../../api/client";
import type { Explanation, Service } from "../../api/types";
import { bytes, counted, cpus } from "../../lib/format";
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
  const { value: answer } = useAsked(service.id, () => explain(service.id));
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
          {more > 0 && answer && <> {place(answer)}</>}
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

/** Where the next would go; of those after it nothing is known yet. */
function place({ fitting, summary, choice_hostname }: Explanation) {
  if (fitting === 0) return <span className="fault">None fits now: {summary}.</span>;
  return `The next would go to ${choice_hostname ?? "a machine with room"}.`;
}

function words(service: Service, number: number | null, more: number): string {
  if (number === null || more === 0) return "As it is now.";
  const each = (times: number) => `${cpus(service.cpus_milli * times)} cpus and ${bytes(service.mem * times)}`;
  if (number === 0) return "All instances will be stopped; the definition stays.";
  return more > 0
    ? `${counted(more, "instance")} more: ${each(more)} on top.`
    : `${counted(-more, "instance")} less: ${each(-more)} become free.`;
}
