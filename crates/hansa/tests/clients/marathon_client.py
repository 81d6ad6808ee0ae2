"""Marathon's client from PyPI, unchanged, against a cluster of ours: create, list, scale, update, versions, restart,
kill, delete, and the event stream through all of it.

    marathon_client.py URL          against a running cluster
    HANSA_BIN=hansa marathon_client.py   starts a cluster of its own and ends it

The cluster must have at least one machine with room for half a cpu and 200 MiB.
"""

import collections
import collections.abc
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

# The client's JSON encoder looks for `collections.Iterable`, which Python 3.10 took away. The client itself stays as it is.
if not hasattr(collections, "Iterable"):
    collections.Iterable = collections.abc.Iterable

from marathon import MarathonClient, MarathonHttpError, NotFoundError  # noqa: E402
from marathon.exceptions import ConflictError  # noqa: E402
from marathon.models import MarathonApp, MarathonConstraint, MarathonHealthCheck  # noqa: E402
from marathon.models.app import MarathonUpgradeStrategy, PortDefinition  # noqa: E402

# It logs every refusal, and refusals are part of the test.
logging.getLogger("marathon").setLevel(logging.CRITICAL + 1)

PATIENCE = 60
GROUP = "/marathon-client"

passed = 0


def step(name):
    """One line for each thing that works, as test runners print it."""
    global passed
    passed += 1
    print(f"test {name} ... ok", flush=True)


def until(what, condition):
    """Waits until `condition` returns something true, and returns that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {PATIENCE} s")
        time.sleep(0.05)


class Listener(threading.Thread):
    """Follows the event stream with the client and keeps what it hears."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.client = MarathonClient(url)
        self.heard = []
        self.failure = None

    def run(self):
        try:
            for event in self.client.event_stream():
                self.heard.append(event)
        except Exception as error:  # told by `find`
            self.failure = error

    def find(self, kind, accept=lambda event: True):
        def found():
            if self.failure is not None:
                raise AssertionError(f"the event stream failed: {self.failure!r}")
            return next((e for e in list(self.heard) if e.event_type == kind and accept(e)), None)

        return until(f"event {kind}", found)


def running(client, app_id, count):
    def settled():
        app = client.get_app(app_id)
        alive = [task for task in app.tasks if task.state == "TASK_RUNNING"]
        done = not app.deployments and app.tasks_running == count == len(alive) == len(app.tasks)
        return (app, alive) if done else None

    return until(f"{app_id} with {count} running tasks", settled)


def check(url):
    client = MarathonClient(url)
    assert client.ping() in (b"pong", b'"pong"'), client.ping()
    step("ping")

    info = client.get_info()
    assert info.name == "marathon" and info.elected and info.framework_id
    assert client.get_leader()["leader"] == info.leader
    step("info_and_leader")

    listener = Listener(url)
    listener.start()
    listener.find("event_stream_attached")
    step("event_stream")

    web = f"{GROUP}/web"
    app = MarathonApp(
        cmd="echo $PORT0; while true; do sleep 1; done",
        cpus=0.05,
        mem=16,
        instances=2,
        env={"GREETING": "hello"},
        labels={"tier": "web", "HAPROXY_GROUP": "external"},
        port_definitions=[PortDefinition(port=0, protocol="tcp", name="http", labels={"VIP_0": "/web:80"})],
        constraints=[MarathonConstraint("hostname", "LIKE", ".*")],
        health_checks=[
            MarathonHealthCheck(
                protocol="COMMAND",
                command="test -n \"$GREETING\"",
                grace_period_seconds=10,
                interval_seconds=1,
                timeout_seconds=5,
                max_consecutive_failures=3,
                delay_seconds=0,
            )
        ],
        upgrade_strategy=MarathonUpgradeStrategy(minimum_health_capacity=0.5, maximum_over_capacity=1.0),
        kill_selection="OLDEST_FIRST",
    )
    created = client.create_app(web, app)
    assert created and created.id == web and len(created.deployments) == 1, created
    deployment = created.deployments[0].id
    step("create")

    app, tasks = running(client, web, 2)
    assert app.env == {"GREETING": "hello"} and app.labels["tier"] == "web"
    assert app.constraints[0].json_repr() == ["hostname", "LIKE", ".*"]
    assert app.health_checks[0].protocol == "COMMAND" and app.health_checks[0].command["value"]
    assert app.port_definitions[0].port > 0 and app.port_definitions[0].labels == {"VIP_0": "/web:80"}
    assert app.upgrade_strategy.minimum_health_capacity == 0.5
    healthy = until("both healthy", lambda: client.get_app(web).tasks_healthy == 2)
    assert healthy
    step("running_and_healthy")

    for task in client.list_tasks(web):
        assert task.app_id == web and task.host and task.slave_id and task.started_at >= task.staged_at
        assert len(task.ports) == 1 and task.service_ports == [app.port_definitions[0].port]
        assert task.id.startswith("marathon-client_web.instance-"), task.id
        assert task.health_check_results[0].alive
    endpoints = [endpoint for endpoint in client.list_endpoints() if endpoint.app_id == web]
    assert len(endpoints) == 2
    step("tasks_and_endpoints")

    listener.find("api_post_event", lambda e: e.app_definition["id"] == web)
    listener.find("deployment_info", lambda e: e.plan.id == deployment)
    listener.find("deployment_step_success", lambda e: e.plan.id == deployment)
    listener.find("deployment_success", lambda e: e.id == deployment)
    listener.find("status_update_event", lambda e: e.app_id == web and e.task_status == "TASK_RUNNING")
    listener.find("add_health_check_event", lambda e: e.app_id == web and e.health_check.protocol == "COMMAND")
    listener.find("health_status_changed_event", lambda e: e.app_id == web and e.alive)
    listener.find("instance_changed_event", lambda e: e.run_spec_id == web and e.condition == "Running")
    step("events_of_a_deployment")

    assert web in [found.id for found in client.list_apps()]
    assert [found.id for found in client.list_apps(app_id="marathon-client/WEB")] == [web]
    assert [found.id for found in client.list_apps(label="tier==web,HAPROXY_GROUP==external")] == [web]
    assert not client.list_apps(label="tier==db", app_id="marathon-client")
    everything = client.list_apps(
        app_id="marathon-client",
        embed_tasks=True,
        embed_counts=True,
        embed_deployments=True,
        embed_readiness=True,
        embed_last_task_failure=True,
        embed_failures=True,
        embed_task_stats=True,
    )[0]
    assert len(everything.tasks) == 2
    assert everything.task_stats.total_summary.stats.counts.running == 2
    step("list_with_filters_and_embeds")

    try:
        client.create_app(web, MarathonApp(cmd="sleep 1"))
        raise AssertionError("an app was created twice")
    except ConflictError as error:
        assert "already exists" in error.error_message
    try:
        client.create_app(f"{GROUP}/wrong", MarathonApp(cmd="sleep 1", cpus=-1))
        raise AssertionError("a wrong app was created")
    except MarathonHttpError as error:
        assert error.status_code == 422 and error.error_details[0]["path"] == "/cpus"
    try:
        client.get_app(f"{GROUP}/none")
        raise AssertionError("an app was found that is not there")
    except NotFoundError as error:
        assert f"App '{GROUP}/none' does not exist" == error.error_message
    step("refusals")

    scaled = client.scale_app(web, instances=3)
    assert scaled["deploymentId"] and scaled["version"]
    running(client, web, 3)
    client.scale_app(web, delta=-1)
    running(client, web, 2)
    step("scale")

    before = client.get_app(web)
    changed = client.update_app(web, MarathonApp(env={"GREETING": "good day"}))
    app, tasks = running(client, web, 2)
    assert app.env == {"GREETING": "good day"} and app.version == changed["version"]
    assert not {task.id for task in tasks} & {task.id for task in before.tasks}, "a new environment needs new tasks"
    assert app.version_info.last_config_change_at > before.version_info.last_config_change_at
    step("update")

    worker = f"{GROUP}/worker"
    many = client.update_apps(
        [MarathonApp(id=worker, cmd="while true; do sleep 1; done", cpus=0.05, mem=16), MarathonApp(id=web, mem=17)]
    )
    assert many["deploymentId"]
    running(client, worker, 1)
    assert running(client, web, 2)[0].mem == 17
    step("update_many")

    versions = client.list_versions(web)
    assert versions == sorted(versions, reverse=True) and len(versions) >= 4, versions
    assert client.get_version(web, versions[-1]).env == {"GREETING": "hello"}
    client.rollback_app(web, versions[-1])
    assert running(client, web, 2)[0].env == {"GREETING": "hello"}
    step("versions_and_rollback")

    _, old = running(client, web, 2)
    restarted = client.restart_app(web)
    listener.find("deployment_success", lambda e: e.id == restarted["deploymentId"])
    _, new = running(client, web, 2)
    assert not {task.id for task in old} & {task.id for task in new}
    step("restart")

    victim = new[0]
    killed = client.kill_task(web, victim.id)
    assert killed.id == victim.id
    listener.find("status_update_event", lambda e: e.task_id == victim.id and e.task_status == "TASK_KILLED")
    until("a replacement", lambda: victim.id not in [task.id for task in running(client, web, 2)[1]])
    _, tasks = running(client, web, 2)
    everybody = client.kill_tasks(web)
    assert {task.id for task in everybody} == {task.id for task in tasks}
    until("replacements", lambda: not {t.id for t in tasks} & {t.id for t in client.list_tasks(web)})
    _, tasks = running(client, web, 2)
    assert client.kill_given_tasks([tasks[0].id])
    until("a replacement", lambda: tasks[0].id not in [task.id for task in client.list_tasks(web)])
    _, tasks = running(client, web, 2)
    assert client.kill_task(web, tasks[0].id, scale=True)["deploymentId"]
    assert running(client, web, 1)[0].instances == 1
    step("kill")

    stuck = f"{GROUP}/stuck"
    client.create_app(stuck, MarathonApp(cmd="sleep 1", cpus=100_000, mem=16))
    item = until("it waits", lambda: next((i for i in client.list_queue(True) if i.app.id == stuck), None))
    funnel = {entry["reason"]: entry["declined"] for entry in item.processed_offers_summary["rejectSummaryLastOffers"]}
    assert item.count == 1 and item.delay.overdue and len(funnel) == 10 and funnel["InsufficientCpus"] >= 1, funnel
    client.reset_delay(stuck)
    deployment = next(d for d in client.list_deployments() if stuck in d.affected_apps)
    assert deployment.steps and deployment.current_actions and deployment.total_steps >= deployment.current_step
    try:
        client.scale_app(stuck, instances=2)
        raise AssertionError("a locked app was changed")
    except ConflictError as error:
        assert "locked by one or more deployments" in error.error_message
    assert client.delete_deployment(deployment.id)["deploymentId"]
    until("it is gone", lambda: stuck not in [found.id for found in client.list_apps()])
    step("queue_and_cancelled_deployment")

    group = next(g for g in client.list_groups() if g.id == GROUP)
    assert {found.id for found in group.apps} == {web, worker}
    step("groups")

    for app_id in (web, worker):
        assert client.delete_app(app_id)["deploymentId"]
    until("all is gone", lambda: not client.list_apps(app_id="marathon-client"))
    listener.find("app_terminated_event", lambda e: e.app_id == web)
    until("no task is left", lambda: not [t for t in client.list_tasks() if t.app_id.startswith(GROUP)])
    step("delete")


def own_cluster(program, check):
    """Starts a cluster on a free port, checks it, and ends it whatever comes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "log"), "w+") as log:
            cluster = subprocess.Popen(
                [program, "dev", "--agents", "2", "--listen", address, "--data-dir", os.path.join(folder, "data")],
                stdout=log,
                stderr=log,
            )
            try:
                until("the cluster starts", lambda: answers(cluster, f"http://{address}/ping"))
                check(f"http://{address}")
            except BaseException:
                log.seek(0)
                sys.stderr.write(log.read()[-20_000:])
                raise
            finally:
                cluster.send_signal(signal.SIGINT)
                try:
                    cluster.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    cluster.kill()
                    cluster.wait()


def answers(cluster, url):
    if cluster.poll() is not None:
        raise AssertionError(f"the cluster ended with {cluster.returncode}")
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def main(check, usage):
    if len(sys.argv) == 2:
        check(sys.argv[1])
    elif len(sys.argv) == 1 and os.environ.get("HANSA_BIN"):
        own_cluster(os.environ["HANSA_BIN"], check)
    else:
        sys.exit(usage)
    print(f"test result: ok. {passed} passed; 0 failed", flush=True)


if __name__ == "__main__":
    main(check, __doc__)
