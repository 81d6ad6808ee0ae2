// Light, dark, or as the system says; remembered on this machine.

import { useSyncExternalStore } from "react";
import { Icon, type IconName } from "./icons";

type Theme = "auto" | "light" | "dark";

const key = "hansa-theme";
const next: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const icons: Record<Theme, IconName> = { auto: "auto", light: "sun", dark: "moon" };

function stored(): Theme {
  try {
    const value = localStorage.getItem(key);
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    return "auto";
  }
}

function apply(theme: Theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

let chosen = stored();
const listeners = new Set<() => void>();

apply(chosen);

export function cycleTheme() {
  chosen = next[chosen];
  try {
    localStorage.setItem(key, chosen);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  apply(chosen);
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export function ThemeButton() {
  const theme = useSyncExternalStore(subscribe, () => chosen);
  const words = `Colours: ${theme === "auto" ? "as the system" : theme}. Change`;
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={words}
      title={words}
      onClick={cycleTheme}
    >
      <Icon name={icons[theme]} />
    </button>
  );
}
