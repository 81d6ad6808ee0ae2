"""mesos-go's programs, unchanged: example-scheduler with example-executor, msh and mwatch.

    MESOS_GO=FOLDER mesos_go.py HOST:PORT         against a running cluster
    MESOS_GO=FOLDER HANSA_BIN=hansa mesos_go.py   starts a cluster of its own and ends it

MESOS_GO is where the programs are. `msh -interactive` knows agents by their host name and port 5051 only; for it an agent is
started on 127.0.0.1:5051, or it is skipped if that port is taken.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading

import mesos_cluster
from mesos_cluster import PATIENCE, end, free_port, step, until

PROGRAMS = os.environ.get("MESOS_GO", "")


def program(name):
    return os.path.join(PROGRAMS, name)


class Started:
    """A program whose output is kept."""

    def __init__(self, *words, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace"))

    def text(self):
        return "".join(self.lines)

    def says(self, what):
        """Waits until it has said this."""

        def said():
            if what in self.text():
                return True
            if self.process.poll() is not None and not self.reader.is_alive():
                raise AssertionError("it ended without saying %r: %s" % (what, self.text()[-8000:]))
            return False

        until("it says %r" % what, said)

    def ends(self, code=0):
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("it does not end: %s" % self.text()[-8000:])
        self.reader.join()
        assert self.process.returncode == code, "%s: %s" % (self.process.returncode, self.text()[-8000:])
        return self.text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)


def example(master, codec, watcher):
    with Started(
        program("example-scheduler"),
        "-url=http://%s/api/v1/scheduler" % master.address,
        "-codec=" + codec,
        "-name=go-" + codec,
        "-executor=" + program("example-executor"),
        "-exec.image=",
        "-server.address=127.0.0.1",
        "-metrics.port=%d" % free_port(),
        "-tasks=4",
        "-cpu=0.1",
        "-memory=32",
        "-verbose",
        env=dict(os.environ, USER=os.environ.get("USER", "root")),
    ) as scheduler:
        scheduler.says("mission accomplished")
        # It ends by cancelling what it does, and calls that an error.
        assert scheduler.ends(1).rstrip().endswith("context canceled")
    step("example_scheduler_and_executor_" + codec)
    watcher.says("FRAMEWORK_ADDED")
    watcher.says("TASK_FINISHED")


def shell(master, *words, **more):
    options = ["-master=" + master.address, "-memory=32", "-cpus=0.1"]
    return Started(program("msh"), *options, *words, **more)


def check(master):
    host, port = master.address.split(":")
    with Started(program("mwatch"), "-master=" + host, "-port=" + port) as watcher:
        # It is silent until something happens; what happened before it listened, nobody tells it.
        listening = "master/operator_event_stream_subscribers"
        until("mwatch listens", lambda: master.get("/metrics/snapshot")[listening] == 1)
        example(master, "protobuf", watcher)
        watcher.says("TASK_ADDED")
        step("mwatch")
        example(master, "json", watcher)

    with shell(master, "--", "true") as one:
        one.ends()
    step("msh")
    with shell(master, "--", "false") as one:
        assert "TASK_FAILED" in one.ends(3)
    step("msh_says_what_failed")
    with shell(master, "-pod", "--", "true") as one:
        one.ends()
    step("msh_pod")


def interactive(program_of_ours):
    """`msh -interactive`, with a master and an agent where it looks for them."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 5051))
        except OSError:
            print("msh -interactive SKIPPED: something else has port 5051", flush=True)
            return
    address = "127.0.0.1:%d" % free_port()
    with tempfile.TemporaryDirectory() as folder:
        link = lambda name: os.path.join(folder, name)
        for name in ("mesos-master", "mesos-agent"):
            os.symlink(program_of_ours, link(name))
        with Started(
            link("mesos-master"), "--ip=127.0.0.1", "--registry=in_memory", "--port=" + address.split(":")[1]
        ) as master, Started(
            link("mesos-agent"),
            "--ip=127.0.0.1",
            "--port=5051",
            "--hostname=127.0.0.1",
            "--work_dir=" + link("work"),
            "--master=" + address,
            "--resources=cpus:2;mem:1024;disk:1024;ports:[29000-29099]",
        ) as agent:
            try:
                watched = mesos_cluster.Master(address)
                until("the master answers", lambda: mesos_cluster.answers(master.process, "http://%s/health" % address))
                until("the agent joins", lambda: watched.get("/slaves")["slaves"])
                with shell(watched, "-interactive", "--", "sh", "-c", "read line; echo got $line", stdin=subprocess.PIPE) as one:
                    one.says("attaching for interactive session")
                    one.process.stdin.write(b"something\n")
                    one.process.stdin.flush()
                    one.says("got something")
                step("msh_interactive")
            except BaseException:
                sys.stderr.write(master.text()[-8000:] + agent.text()[-8000:])
                raise


def everything(master):
    check(master)
    if os.environ.get("HANSA_BIN"):
        interactive(os.path.abspath(os.environ["HANSA_BIN"]))


if __name__ == "__main__":
    if not PROGRAMS:
        sys.exit(__doc__)
    mesos_cluster.main(everything, __doc__)
