// What is shown in place of a page that breaks; the frame around it stays.

import { Component, type ReactNode } from "react";
import { Empty, PageHead } from "./primitives";

interface Props {
  /** Another page is given another try. */
  place: string;
  children: ReactNode;
}

export class Unbreakable extends Component<Props, { error: unknown; place: string }> {
  override state = { error: null as unknown, place: this.props.place };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  static getDerivedStateFromProps({ place }: Props, state: { error: unknown; place: string }) {
    return place === state.place ? null : { place, error: null };
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <>
        <PageHead title="This page broke" />
        <section className="panel" role="alert">
          <Empty>
            <p>
              A mistake in the console, not in the cluster. Please report it with what follows:{" "}
              <code>{error instanceof Error ? error.message : String(error)}</code>
            </p>
            <button type="button" className="button" onClick={() => window.location.reload()}>
              Load it again
            </button>
          </Empty>
        </section>
      </>
    );
  }
}
