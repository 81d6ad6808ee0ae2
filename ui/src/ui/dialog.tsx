// Dialogs, on the platform's own <dialog>: it holds the focus, closes on Escape and hides what is behind it.

import { useLayoutEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";

export function Dialog(props: { label: string; className?: string; onClose: () => void; children: ReactNode }) {
  const element = useRef<HTMLDialogElement>(null);
  const close = useRef(props.onClose);
  close.current = props.onClose;
  // Before it leaves the page: one that is no longer there gives no focus back.
  useLayoutEffect(() => {
    const dialog = element.current;
    if (!dialog) return;
    // Whoever opened it has the focus again afterwards; the browser sees to it only if the dialog is closed, not removed.
    dialog.showModal();
    return () => {
      dialog.close();
      // Where nothing had it, or what had it is gone, Tab would begin anew at the end of the page.
      const { activeElement } = document;
      const lost = !activeElement || activeElement === document.body || dialog.contains(activeElement);
      if (lost) document.getElementById("main")?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={element}
      aria-label={props.label}
      className={props.className}
      onCancel={(event) => {
        event.preventDefault();
        close.current();
      }}
      onClick={(event) => {
        // Only what is outside of it belongs to the dialog itself: all inside is covered by its children.
        if (event.target === element.current) close.current();
      }}
    >
      {props.children}
    </dialog>
  );
}

/** A question before something is done. */
export interface Question {
  title: string;
  /** What will happen. */
  body: ReactNode;
  /** The verb on the button. */
  verb: string;
  danger?: boolean;
  /** There is a table in it. */
  wide?: boolean;
}

let asked: { question: Question; answer: (yes: boolean) => void } | null = null;
const listeners = new Set<() => void>();

function set(next: typeof asked) {
  asked = next;
  for (const listener of listeners) listener();
}

/** Asks once; true: yes. */
export function confirm(question: Question): Promise<boolean> {
  asked?.answer(false);
  return new Promise((resolve) => {
    set({
      question,
      answer: (yes) => {
        set(null);
        resolve(yes);
      },
    });
  });
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Where questions are shown; once, in the frame. */
export function Questions() {
  const current = useSyncExternalStore(subscribe, () => asked);
  if (!current) return null;
  const { question, answer } = current;
  return (
    <Dialog
      label={question.title}
      {...(question.wide && { className: "wide-dialog" })}
      onClose={() => answer(false)}
    >
      <div className="dialog">
        <h2>{question.title}</h2>
        <div className="stack" style={{ gap: 8 }}>
          {question.body}
        </div>
        <div className="buttons">
          <button type="button" className="button" onClick={() => answer(false)}>
            Keep it as it is
          </button>
          <button
            type="button"
            className={`button main ${question.danger ? "danger" : ""}`}
            onClick={() => answer(true)}
          >
            {question.verb}
          </button>
        </div>
      </div>
    </Dialog>
  );
}

/** Whether something is under way, and what runs it at most once at a time. */
export function useBusy(): [boolean, (work: () => Promise<unknown>) => Promise<void>] {
  const [busy, setBusy] = useState(false);
  const run = async (work: () => Promise<unknown>) => {
    setBusy(true);
    try {
      await work();
    } finally {
      setBusy(false);
    }
  };
  return [busy, run];
}
