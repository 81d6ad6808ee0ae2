// Links within the console: real addresses that open in another tab like any other, and no reload in this one.

import type { ComponentProps, MouseEvent } from "react";
import { go, href, type Page, type Params } from "../lib/route";

type Props = Omit<ComponentProps<"a">, "href"> & { to: Page; params?: Params };

export function Link({ to, params, onClick, ...rest }: Props) {
  const address = href(to, params);
  const click = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const elsewhere = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0;
    if (elsewhere || event.defaultPrevented) return;
    event.preventDefault();
    go(address);
  };
  return <a {...rest} href={address} onClick={click} />;
}

/** Brings tabs into sight whose content would be below the window's edge, once a link elsewhere on the page has chosen one. */
export const showTabs = () =>
  requestAnimationFrame(() => {
    const tabs = document.querySelector("main .tabs");
    if (tabs && tabs.getBoundingClientRect().bottom > window.innerHeight * 0.6) tabs.scrollIntoView({ block: "start" });
  });

/** On a phone not all tabs are in sight: the one that an address names is brought there. */
export const showChosen = (tabs: HTMLElement | null) => {
  const chosen = tabs?.querySelector<HTMLElement>("[aria-current], [aria-pressed='true']");
  if (tabs && chosen) tabs.scrollLeft = chosen.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - chosen.offsetWidth) / 2;
};
