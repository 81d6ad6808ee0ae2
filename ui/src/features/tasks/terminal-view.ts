// A terminal in the page, joined to one in a task's container. Loaded only when one is opened: it is large.

import { FitAddon } from "@xterm/addon-fit";
import { Terminal, type ITheme } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { terminalAddress, type TerminalEnd } from "../../api/sandbox";

export interface Session {
  close: () => void;
  /** Copies what is selected; false: nothing is. */
  copy: () => boolean;
  focus: () => void;
}

/** How it ended: the server's last word, or null if the connection broke. */
export type Ended = (end: TerminalEnd | null) => void;

const light: ITheme = {
  black: "#182023",
  red: "#b3261e",
  green: "#1d7046",
  yellow: "#755600",
  blue: "#1f5aa6",
  magenta: "#8a3a86",
  cyan: "#0f6674",
  white: "#55626a",
  brightBlack: "#55626a",
  brightRed: "#b3261e",
  brightGreen: "#1d7046",
  brightYellow: "#755600",
  brightBlue: "#1f5aa6",
  brightMagenta: "#8a3a86",
  brightCyan: "#0f6674",
  brightWhite: "#182023",
};

const dark: ITheme = {
  black: "#434e55",
  red: "#ff8f86",
  green: "#6cc998",
  yellow: "#dcb654",
  blue: "#86b4f2",
  magenta: "#d9a0d6",
  cyan: "#72cbd7",
  white: "#c9d1d5",
  brightBlack: "#9aa7ae",
  brightRed: "#ffb3ad",
  brightGreen: "#94ddb5",
  brightYellow: "#ecd083",
  brightBlue: "#aecdf7",
  brightMagenta: "#e8c2e6",
  brightCyan: "#a0dfe7",
  brightWhite: "#ffffff",
};

/** The page's own colours. */
function theme(): ITheme {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(name).trim();
  return {
    ...(style.colorScheme === "dark" ? dark : light),
    background: token("--surface"),
    foreground: token("--ink"),
    cursor: token("--accent"),
    cursorAccent: token("--surface"),
    selectionBackground: token("--accent-soft"),
  };
}

/** Opens one in `box` for a command, or for a shell if that is empty. */
export function open(
  box: HTMLElement,
  task: string,
  command: string,
  readAloud: boolean,
  onOpen: () => void,
  onEnd: Ended,
): Session {
  const style = getComputedStyle(document.documentElement);
  const terminal = new Terminal({
    fontFamily: style.getPropertyValue("--mono"),
    fontSize: 13,
    scrollback: 5000,
    theme: theme(),
    screenReaderMode: readAloud,
    minimumContrastRatio: 4.5,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(box);
  fit.fit();

  const socket = new WebSocket(terminalAddress(task, command, terminal.cols, terminal.rows));
  socket.binaryType = "arraybuffer";
  const isOpen = () => socket.readyState === WebSocket.OPEN;
  const encoder = new TextEncoder();
  const resize = () => {
    const { cols, rows } = terminal;
    if (isOpen()) socket.send(JSON.stringify({ resize: { columns: cols, rows } }));
  };
  let over = false;
  const end = (last: TerminalEnd | null) => {
    if (over) return;
    over = true;
    terminal.options.disableStdin = true;
    terminal.options.cursorBlink = false;
    onEnd(last);
  };
  socket.onopen = () => {
    onOpen();
    resize();
    terminal.focus();
  };
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
    if (typeof data !== "string") return terminal.write(new Uint8Array(data));
    end(JSON.parse(data) as TerminalEnd);
  };
  socket.onclose = () => end(null);

  terminal.onData((text) => isOpen() && socket.send(encoder.encode(text)));
  terminal.onBinary((text) => isOpen() && socket.send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  terminal.onResize(resize);

  const copy = () => {
    const text = terminal.getSelection();
    if (!text) return false;
    // Only pages that came by TLS or from this machine have a clipboard; the older way works everywhere.
    const older = () => {
      terminal.focus();
      document.execCommand("copy");
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).catch(older);
    else older();
    return true;
  };
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.type !== "keydown") return true;
    // The way out: the browser moves the focus. Everything else belongs to the program in the terminal.
    if (event.key === "Tab" && event.shiftKey) return false;
    const { ctrlKey, shiftKey, metaKey, key } = event;
    const wantsCopy = (ctrlKey && shiftKey && key.toLowerCase() === "c") || (ctrlKey && key === "Insert");
    if (wantsCopy || (metaKey && key === "c")) {
      event.preventDefault();
      copy();
      return false;
    }
    // Pasting is the browser's: it hands the text to the terminal's field.
    return !((ctrlKey && shiftKey && key.toLowerCase() === "v") || (shiftKey && key === "Insert"));
  });

  let pending = 0;
  const observer = new ResizeObserver(() => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => fit.fit());
  });
  observer.observe(box);
  const colours = window.matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => {
    terminal.options.theme = theme();
  };
  colours.addEventListener("change", recolour);
  const chosen = new MutationObserver(recolour);
  chosen.observe(document.documentElement, { attributeFilter: ["data-theme"] });

  return {
    copy,
    focus: () => terminal.focus(),
    close: () => {
      over = true;
      cancelAnimationFrame(pending);
      observer.disconnect();
      chosen.disconnect();
      colours.removeEventListener("change", recolour);
      socket.close();
      terminal.dispose();
    },
  };
}
