"""avmesos and mesoshttp from PyPI, unchanged: two clients that grew from one, and read a stream line by line.

    mesos_av.py HOST:PORT         against a running cluster
    HANSA_BIN=hansa mesos_av.py   starts a cluster of its own and ends it
"""

import getpass
import importlib
import logging
import threading

import mesos_cluster
from mesos_cluster import step, until

# Refusals and connections that end are part of the test.
logging.disable(logging.CRITICAL)


def scalar(name, value):
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


class Framework:
    """One client in a thread of its own; launches what it is asked for and keeps what it hears."""

    def __init__(self, module, master, framework_id=None):
        client = importlib.import_module(module + ".client").MesosClient
        self.client = client(
            ["http://" + master.address],
            frameworkId=framework_id,
            frameworkName="test-" + module,
            frameworkUser=getpass.getuser(),
        )
        self.client.failover_timeout = 600
        self.lock = threading.Lock()
        self.wanted = []
        self.updates = []
        self.offers = 0
        self.driver = None
        self.client.on(client.SUBSCRIBED, self.subscribed)
        self.client.on(client.OFFERS, self.offered)
        self.client.on(client.UPDATE, lambda update: self.updates.append(update["status"]))
        self.thread = threading.Thread(target=self.client.register, daemon=True)
        self.thread.start()
        until("it is subscribed", lambda: self.driver)

    def subscribed(self, driver):
        self.driver = driver

    def offered(self, offers):
        for offer in offers:
            self.offers += 1
            with self.lock:
                tasks, self.wanted = self.wanted, []
            for task in tasks:
                task["agent_id"] = offer.get_offer()["agent_id"]
            if tasks:
                offer.accept(tasks, {"filters": {"refuse_seconds": 0.0}})
            else:
                offer.decline({"filters": {"refuse_seconds": 0.0}})

    def want(self, name, command):
        with self.lock:
            self.wanted.append(
                {
                    "name": name,
                    "task_id": {"value": name},
                    "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
                    "command": {"value": command},
                }
            )

    def find(self, task, state, accept=lambda status: True):
        def found():
            mine = [status for status in list(self.updates) if status["task_id"]["value"] == task]
            return next((status for status in mine if status["state"] == state and accept(status)), None)

        return until("%s is %s" % (task, state), found)

    def leave(self):
        """Goes without a word; the tasks stay."""
        self.client.disconnect_framework()
        self.client.long_pool.close()


def check_client(module, master):
    framework = Framework(module, master)
    identity = framework.client.frameworkId
    assert framework.client.get_master_info()["port"] == int(master.address.rsplit(":", 1)[1])
    step(module + "_subscribe")

    framework.want("short", "exit 0")
    framework.find("short", "TASK_FINISHED")
    framework.want("long", "exec sleep 100000")
    running = framework.find("long", "TASK_RUNNING")
    step(module + "_tasks")

    framework.driver.reconcile([{"task_id": {"value": "long"}, "agent_id": running["agent_id"]}])
    framework.find("long", "TASK_RUNNING", lambda status: status.get("reason") == "REASON_RECONCILIATION")
    step(module + "_reconcile")

    framework.driver.kill(running["agent_id"]["value"], "long")
    framework.find("long", "TASK_KILLED")
    step(module + "_kill")

    if hasattr(framework.driver, "suppress"):
        framework.driver.suppress()
    framework.driver.revive()
    before = framework.offers
    until("offers come again", lambda: framework.offers > before)
    step(module + "_revive")

    framework.want("stays", "exec sleep 100000")
    framework.find("stays", "TASK_RUNNING")
    framework.leave()
    until("it is gone", lambda: not master.framework("test-" + module)["connected"])
    assert master.tasks(identity)["stays"] == "TASK_RUNNING"
    framework = Framework(module, master, identity)
    assert framework.client.frameworkId == identity
    framework.driver.reconcile([{"task_id": {"value": "stays"}}])
    framework.find("stays", "TASK_RUNNING")
    step(module + "_failover")

    framework.driver.tearDown()
    until("it is completed", lambda: master.is_completed(identity))
    until("its task is killed", lambda: master.tasks(identity)["stays"] == "TASK_KILLED")
    framework.client.stop = True
    step(module + "_teardown")


def check(master):
    for module in ("avmesos", "mesoshttp"):
        check_client(module, master)


if __name__ == "__main__":
    mesos_cluster.main(check, __doc__)
