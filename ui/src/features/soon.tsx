// Pages of what Hansa cannot do yet: what it will be, and what does the same today.

import { Link } from "../ui/link";
import { Empty, PageHead } from "../ui/primitives";

export function Jobs() {
  return (
    <>
      <PageHead title="Jobs" />
      <section className="panel" aria-label="No jobs yet">
        <Empty>
          <p>
            This Hansa runs no jobs yet: no runs that end, no schedules, no retries. They come with a later version and will
            be listed here.
          </p>
          <p>
            Until then a framework for Mesos that runs jobs can be connected as it is, and what should always run is a
            service.
          </p>
          <div className="row">
            <Link to="frameworks" className="button">
              Frameworks
            </Link>
            <Link to="create" className="button">
              Create a service
            </Link>
          </div>
        </Empty>
      </section>
    </>
  );
}

export function Catalog() {
  return (
    <>
      <PageHead title="Catalog" />
      <section className="panel" aria-label="No catalog yet">
        <Empty>
          <p>
            This Hansa has no packages yet: databases and data tools that are installed by one click come with a later
            version and will be listed here.
          </p>
          <p>
            Until then anything that has a container image can run: create a service from it, or from a definition that its
            makers publish for Marathon.
          </p>
          <div className="row">
            <Link to="create" className="button main">
              Create from an image
            </Link>
            <Link to="create" params={{ "as-json": "yes" }} className="button">
              Paste a definition
            </Link>
          </div>
        </Empty>
      </section>
    </>
  );
}
