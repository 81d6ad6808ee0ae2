// Our icons: 16 by 16, one stroke.

const paths = {
  overview: "M2.5 2.5h4.5v5h-4.5zM9 2.5h4.5v3H9zM9 7.5h4.5v6H9zM2.5 9.5h4.5v4h-4.5z",
  services: "M8 2 14 5 8 8 2 5zM2 8l6 3 6-3M2 11l6 3 6-3",
  tasks: "M6 4h7.5M6 8h7.5M6 12h7.5M2.5 4h.5M2.5 8h.5M2.5 12h.5",
  machines: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.5M5 11h.5",
  deployments: "M8 14V3M4 7l4-4 4 4M3 14h10",
  frameworks: "M5 2.5h6v4H5zM1.5 10h5v3.5h-5zM9.5 10h5v3.5h-5zM8 6.5V8M4 10V8h8v2",
  roles: "M8 2.5 13.5 5v3.5c0 3-2.5 4.5-5.5 5.5-3-1-5.5-2.5-5.5-5.5V5z",
  events: "M8 3.5V8l3 2M14 8A6 6 0 1 1 8 2a6 6 0 0 1 6 6z",
  search: "M11 11l3.5 3.5M12.5 7.5a5 5 0 1 1-10 0 5 5 0 0 1 10 0z",
  more: "M3.5 8h.5M8 8h.5M12.5 8h.5",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  plus: "M8 3v10M3 8h10",
  check: "M3 8.5 6.5 12 13 4.5",
  sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7",
  moon: "M13.5 9.5A5.5 5.5 0 0 1 6.5 2.5a5.5 5.5 0 1 0 7 7z",
  auto: "M8 2.5a5.5 5.5 0 1 1 0 11zM8 2.5v11M8 2.5a5.5 5.5 0 0 0 0 11",
  folder: "M2 4h4l1.5 2H14v7H2z",
  file: "M4 2h5.5L12.5 5v9H4zM9.5 2v3h3",
  link: "M6.5 9.5l3-3M7 5l1.5-1.5a2.5 2.5 0 0 1 4 4L11 9M9 11l-1.5 1.5a2.5 2.5 0 0 1-4-4L5 7",
  terminal: "M2 3h12v10H2zM4.5 6l2 2-2 2M8 10.5h3",
  jobs: "M3 5.5h10V13H3zM6 5.5V3h4v2.5M3 9h10",
  catalog: "M2.5 5 8 2.2 13.5 5v6L8 13.8 2.5 11zM2.5 5 8 7.8 13.5 5M8 7.8v6",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  download: "M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10",
  play: "M4.5 3l8 5-8 5z",
  pause: "M5 3v10M11 3v10",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path
        d={paths[name]}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.4"
        strokeLinejoin="round"
        strokeLinecap="round"
      />
    </svg>
  );
}
