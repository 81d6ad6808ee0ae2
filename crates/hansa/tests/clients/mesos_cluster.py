"""What the scripts with Mesos' clients share: steps, waiting, a cluster of their own, and what it says of itself.

Only the standard library, so that every Python that one of the clients needs can run it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 90

passed = 0


def step(name):
    """One line for each thing that works, as test runners print it."""
    global passed
    passed += 1
    print("test %s ... ok" % name, flush=True)


def until(what, condition, patience=PATIENCE):
    """Waits until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError("%s did not happen within %s s" % (what, patience))
        time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Master:
    """A master's endpoints, as tools read them."""

    def __init__(self, address):
        self.address = address

    def get(self, path, **query):
        url = "http://%s%s?%s" % (self.address, path, urllib.parse.urlencode(query))
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)

    def call(self, body):
        """A call of the operator API."""
        request = urllib.request.Request(
            "http://%s/api/v1" % self.address,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def framework(self, name):
        """The framework that is not gone and has this name, or None."""
        found = [one for one in self.get("/frameworks")["frameworks"] if one["name"] == name]
        return found[-1] if found else None

    def tasks(self, framework_id):
        """Its tasks' states by id, with those that have ended."""
        tasks = self.get("/tasks", framework_id=framework_id, limit=-1)["tasks"]
        return {task["id"]: task["state"] for task in tasks}

    def is_completed(self, framework_id):
        return any(one["id"] == framework_id for one in self.get("/frameworks")["completed_frameworks"])


def answers(cluster, url):
    if cluster.poll() is not None:
        raise AssertionError("the cluster ended with %s" % cluster.returncode)
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def end(process, how=signal.SIGTERM, patience=30):
    """Ends a process that was started here."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def own_cluster(program, check):
    """Starts a cluster on a free port, checks it, and ends it whatever comes."""
    address = "127.0.0.1:%d" % free_port()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "log"), "w+") as log:
            cluster = subprocess.Popen(
                [program, "dev", "--agents", "2", "--listen", address, "--data-dir", os.path.join(folder, "data")],
                stdout=log,
                stderr=log,
            )
            try:
                until("the cluster starts", lambda: answers(cluster, "http://%s/health" % address))
                master = Master(address)
                until("the agents join", lambda: len(master.get("/slaves")["slaves"]) == 2)
                check(master)
            except BaseException:
                log.seek(0)
                sys.stderr.write(log.read()[-20000:])
                raise
            finally:
                end(cluster, signal.SIGINT)


def main(check, usage):
    if len(sys.argv) == 2:
        check(Master(sys.argv[1]))
    elif len(sys.argv) == 1 and os.environ.get("HANSA_BIN"):
        own_cluster(os.environ["HANSA_BIN"], check)
    else:
        sys.exit(usage)
    print("test result: ok. %d passed; 0 failed" % passed, flush=True)
