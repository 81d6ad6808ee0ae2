// Light, dark, or as the system says; remembered on this machine.

import { useState } from "react";
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

apply(stored());

export function cycleTheme(): Theme {
  const theme = next[stored()];
  try {
    localStorage.setItem(key, theme);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  apply(theme);
  return theme;
}

export function ThemeButton() {
  const [theme, setTheme] = useState(stored);
  const words = `Colours: ${theme === "auto" ? "as the system" : theme}. Change`;
  return (
    <button type="button" className="icon-button" aria-label={words} title={words} onClick={() => setTheme(cycleTheme())}>
      <Icon name={icons[theme]} />
    </button>
  );
}
