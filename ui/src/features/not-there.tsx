// The page of something that is not there: what may have become of it, and where to go.

import type { ReactNode } from "react";
import { Empty, PageHead } from "../ui/primitives";

export function NotThere(props: { title: ReactNode; crumbs: ReactNode; words: ReactNode; children: ReactNode }) {
  return (
    <>
      <PageHead title={props.title} crumbs={props.crumbs} />
      <section className="panel">
        <Empty>
          <p>{props.words}</p>
          <div className="row">{props.children}</div>
        </Empty>
      </section>
    </>
  );
}
