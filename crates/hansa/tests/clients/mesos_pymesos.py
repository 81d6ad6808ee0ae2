"""pymesos from PyPI, unchanged, as a scheduler with command tasks and with an executor of its own.

    mesos_pymesos.py HOST:PORT         against a running cluster
    HANSA_BIN=hansa mesos_pymesos.py   starts a cluster of its own and ends it

Its own examples run, too, if HANSA_PYMESOS names the folder of a checkout of github douban/pymesos.
"""

import getpass
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading

import mesos_cluster
from mesos_cluster import end, step, until
from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data

HERE = os.path.dirname(os.path.abspath(__file__))

# A call that cannot be made is logged by it, and the test fails by what does not happen.
logging.getLogger("pymesos").setLevel(logging.ERROR)

TERMINAL = ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST")


def resources(cpus, mem):
    scalar = lambda name, value: dict(name=name, type="SCALAR", scalar=dict(value=value))
    return [scalar("cpus", cpus), scalar("mem", mem)]


class Tester(Scheduler):
    """Launches what it is asked for when offers come, and keeps what it hears."""

    def __init__(self):
        self.lock = threading.Lock()
        self.wanted = []
        self.updates = []
        self.messages = []
        self.lost_executors = []
        self.errors = []
        self.subscriptions = 0
        self.offers = 0

    def registered(self, driver, framework_id, master_info):
        self.subscriptions += 1

    def reregistered(self, driver, master_info):
        self.subscriptions += 1

    def resourceOffers(self, driver, offers):
        for offer in offers:
            self.offers += 1
            with self.lock:
                tasks, self.wanted = self.wanted, []
            for task in tasks:
                task["agent_id"] = offer["agent_id"]
            if tasks:
                driver.launchTasks(offer["id"], tasks, dict(refuse_seconds=0.0))
            else:
                driver.declineOffer(offer["id"], dict(refuse_seconds=0.0))

    def statusUpdate(self, driver, status):
        self.updates.append(status)

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        self.messages.append((executor_id["value"], decode_data(message)))

    def executorLost(self, driver, executor_id, agent_id, status):
        self.lost_executors.append((executor_id["value"], status))

    def error(self, driver, message):
        self.errors.append(message)

    def want(self, *tasks):
        with self.lock:
            self.wanted.extend(tasks)

    def find(self, task, state, accept=lambda status: True):
        """Waits for an update of a task to this state; another end is an error."""

        def found():
            for status in list(self.updates):
                if status["task_id"]["value"] != task:
                    continue
                if status["state"] == state and accept(status):
                    return status
                if status["state"] in TERMINAL and state not in TERMINAL:
                    raise AssertionError("%s: %s instead of %s" % (task, status, state))
            return None

        return until("%s is %s" % (task, state), found)


def task(name, **more):
    return dict(name=name, task_id=dict(value=name), resources=resources(0.1, 32), **more)


def executor(name):
    command = "%s %s" % (shlex.quote(sys.executable), shlex.quote(os.path.join(HERE, "mesos_pymesos_executor.py")))
    return dict(
        executor_id=dict(value=name), name=name, command=dict(value="exec " + command), resources=resources(0.1, 64)
    )


class Running:
    """A driver in a thread of its own."""

    def __init__(self, master, scheduler, **info):
        framework = dict(dict(user=getpass.getuser(), name="pymesos-test", failover_timeout=600, checkpoint=True), **info)
        self.driver = MesosSchedulerDriver(scheduler, framework, master.address)
        self.driver.start()
        before = scheduler.subscriptions
        until("it is subscribed", lambda: self.driver.connected and scheduler.subscriptions > before)

    def stop(self, failover=False):
        self.driver.stop(failover=failover)
        self.driver.join()


def check(master):
    scheduler = Tester()
    running = Running(master, scheduler)
    driver = running.driver
    framework = driver.framework_id
    assert master.framework("pymesos-test")["connected"]
    step("subscribe")

    scheduler.want(task("short", command=dict(value="exit 0")), task("long", command=dict(value="exec sleep 100000")))
    scheduler.find("short", "TASK_FINISHED")
    scheduler.find("long", "TASK_RUNNING")
    step("command_tasks")

    driver.reconcileTasks([dict(task_id=dict(value="long")), dict(task_id=dict(value="nobody"))])
    scheduler.find("long", "TASK_RUNNING", lambda status: status.get("reason") == "REASON_RECONCILIATION")
    scheduler.find("nobody", "TASK_LOST")
    driver.reconcileTasks([])
    step("reconcile")

    driver.killTask(dict(value="long"))
    scheduler.find("long", "TASK_KILLED")
    step("kill")

    mine = executor("mine")
    scheduler.want(
        task("by-executor", executor=mine, data=encode_data(b"sleep")),
        task("ends", executor=mine, data=encode_data(b"finish")),
    )
    status = scheduler.find("by-executor", "TASK_RUNNING")
    assert decode_data(status["data"]) == b"began", status
    assert scheduler.find("ends", "TASK_FINISHED")["message"] == "as told"
    step("custom_executor")

    driver.sendFrameworkMessage(dict(value="mine"), status["agent_id"], encode_data(b"hello \xff"))
    until("the message comes back", lambda: ("mine", b"echo hello \xff") in scheduler.messages)
    step("messages")

    driver.suppressOffers()
    driver.reviveOffers()
    before = scheduler.offers
    until("offers come again", lambda: scheduler.offers > before)
    step("suppress_and_revive")

    # Goes away and comes back as another process would: with nothing but its id.
    running.stop(failover=True)
    until("it is gone", lambda: not master.framework("pymesos-test")["connected"])
    assert master.tasks(framework)["by-executor"] == "TASK_RUNNING"
    scheduler = Tester()
    running = Running(master, scheduler, id=dict(value=framework))
    driver = running.driver
    assert driver.framework_id == framework
    driver.reconcileTasks([dict(task_id=dict(value="by-executor"))])
    scheduler.find("by-executor", "TASK_RUNNING")
    driver.killTask(dict(value="by-executor"))
    scheduler.find("by-executor", "TASK_KILLED")
    step("failover")

    running.stop()
    until("it is completed", lambda: master.is_completed(framework))
    assert not scheduler.errors, scheduler.errors
    step("teardown")

    if os.environ.get("HANSA_PYMESOS"):
        examples(master, os.path.join(os.environ["HANSA_PYMESOS"], "examples"))
    else:
        print("pymesos' own examples SKIPPED: set HANSA_PYMESOS to the folder of a checkout of github douban/pymesos")


def examples(master, folder):
    """The example scheduler with the example executor, as they are."""
    run = [sys.executable, os.path.join(HERE, "run_example.py"), os.path.join(folder, "scheduler.py"), master.address]
    scheduler = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    heard = []
    reader = threading.Thread(target=lambda: heard.extend(scheduler.stderr), daemon=True)
    reader.start()
    try:
        framework = until("it subscribes", lambda: master.framework("MinimalFramework"))["id"]

        def in_state(state, count):
            return lambda: sum(one == state for one in master.tasks(framework).values()) >= count

        until("tasks run", in_state("TASK_RUNNING", 2))
        step("example_scheduler_and_executor_run")
        # Each takes half a minute.
        until("tasks finish", in_state("TASK_FINISHED", 2))
        step("example_tasks_finish")

        # Killed, and started again with the same id while tasks run.
        end(scheduler, signal.SIGKILL)
        until("it is gone", lambda: not master.framework("MinimalFramework")["connected"])
        running = [name for name, state in master.tasks(framework).items() if state == "TASK_RUNNING"]
        assert running, master.tasks(framework)
        scheduler = subprocess.Popen(run + [framework], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("it is back", lambda: master.framework("MinimalFramework")["connected"])
        assert master.framework("MinimalFramework")["id"] == framework
        finished = lambda: all(master.tasks(framework)[name] == "TASK_FINISHED" for name in running)
        until("the tasks of before finish", finished)
        step("example_comes_back_with_its_id")
    except BaseException:
        sys.stderr.write(b"".join(heard).decode(errors="replace")[-20000:])
        raise
    finally:
        end(scheduler, signal.SIGINT)
    until("it is completed", lambda: master.is_completed(framework))
    step("example_tears_down")


if __name__ == "__main__":
    mesos_cluster.main(check, __doc__)
