"""`marathon-deploy` and `marathon-cli` from PyPI, unchanged, through all their commands, against a cluster of ours.

    marathon_tools.py URL               against a running cluster
    HANSA_BIN=hansa marathon_tools.py   starts a cluster of its own and ends it

The cluster must have at least one machine with room for half a cpu and 200 MiB.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

import marathon_client
from marathon_client import PATIENCE, step, until

GROUP = "tools"
RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_tool.py")


class Tools:
    """The two clients' commands, pointed at the cluster."""

    def __init__(self, url, folder):
        self.url = url
        self.folder = folder
        self.env = dict(os.environ, MARATHON_URL=url, SPY_LOG_LEVEL="ERROR", PYTHONWARNINGS="ignore", PYTHONUNBUFFERED="1")

    def start(self, *command):
        return subprocess.Popen(
            [sys.executable, RUN, *command],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, process, code=0, said=""):
        try:
            output, _ = process.communicate(said, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{process.args} did not end: {process.communicate()[0]}")
        assert process.returncode == code, f"{process.args} ended with {process.returncode}: {output}"
        return output

    def deploy(self, *arguments, code=0, said=""):
        """`marathon-deploy`, and what it printed."""
        return self.finish(self.start("marathon-deploy", "--marathon", self.url, *arguments), code, said)

    def cli(self, *arguments):
        """`marathon` of marathon-cli, and the text that it printed, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.finish(self.start("marathon", *arguments)))

    def cli_json(self, *arguments):
        output = self.cli(*arguments)
        return json.loads(output[min(at for at in (output.find("{"), output.find("[")) if at >= 0) :])

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def app(self, app_id):
        return self.get(f"/v2/apps/{app_id}")["app"]

    def settled(self, app_id, count):
        def done():
            app = self.app(app_id)
            return app if not app["deployments"] and app["tasksRunning"] == count == len(app["tasks"]) else None

        return until(f"{app_id} with {count} running tasks", done)


def web(name, **fields):
    app = {
        "id": f"/{GROUP}/{name}",
        "cmd": "while true; do sleep 1; done",
        "cpus": 0.05,
        "mem": 16,
        "instances": 1,
        "healthChecks": [
            {"protocol": "COMMAND", "command": {"value": "true"}, "intervalSeconds": 1, "delaySeconds": 0}
        ],
    }
    return {**app, **fields}


def check_deploy(tools):
    one = f"{GROUP}/one"
    definition = tools.file("one.json", web("one"))
    assert "Creating app" in tools.deploy("--put", definition)
    tools.settled(one, 1)
    step("deploy_creates")

    # It waits for twenty seconds before it looks; meanwhile the rest goes on.
    watching = tools.start("marathon-check", "--marathon", tools.url, "--appid", one)

    changed = tools.file("one.json", web("one", env={"A": "1"}))
    assert "Updating app" in tools.deploy("--put", changed)
    assert tools.settled(one, 1)["env"] == {"A": "1"}
    step("deploy_updates")

    tools.file("folder/two.json", web("two", instances=0))
    tools.file("folder/#three.json", "no JSON at all: such names are skipped")
    container = {
        "type": "DOCKER",
        "docker": {"image": "registry.invalid/web:1", "network": "BRIDGE"},
        "portMappings": [{"containerPort": 80, "hostPort": 0, "name": "http"}],
    }
    image = web("image", instances=0, container=container, healthChecks=[])
    tools.file("folder/image.json", {name: value for name, value in image.items() if name != "cmd"})
    assert "Abort" in tools.deploy("--put", os.path.join(tools.folder, "folder"), code=2, said="no\n")
    tools.deploy("--put", os.path.join(tools.folder, "folder"), said="YES\n")
    assert tools.settled(f"{GROUP}/two", 0)
    step("deploy_folder")

    tools.deploy("--appid", f"{GROUP}/image", "--tag", "2")
    shown = tools.app(f"{GROUP}/image")["container"]
    assert shown["docker"]["image"] == "registry.invalid/web:2"
    assert shown["portMappings"][0]["name"] == "http" and shown["portMappings"][0]["servicePort"] >= 10_000
    step("deploy_tag")

    tools.deploy("--appid", one, "--scale", "2")
    tools.settled(one, 2)
    assert "2" in tools.deploy("--appid", one, "--instances").splitlines()
    step("deploy_scale_and_instances")

    before = {task["id"] for task in tools.app(one)["tasks"]}
    tools.deploy("--appid", one, "--restart")
    after = {task["id"] for task in tools.settled(one, 2)["tasks"]}
    assert not before & after
    tools.deploy("--appid", one, "--inplacerestart")
    assert not after & {task["id"] for task in tools.settled(one, 2)["tasks"]}
    step("deploy_restarts")

    # What the tool itself has not built.
    assert "Nothing done" in tools.deploy("--appid", one, "--list")
    assert "NotImplementedError" in tools.deploy("--appid", one, "--saveapp", one, code=1)
    assert "NotImplementedError" in tools.deploy("--appid", one, "--dumpall", code=1)
    assert "required" in tools.deploy("--restart", code=1)
    step("deploy_the_rest")

    assert "APP deploy on Marathon" in tools.finish(watching)
    step("check")


def check_cli(tools):
    one, image = f"{GROUP}/one", f"{GROUP}/image"
    assert "pong" in tools.cli("ping")
    assert tools.cli_json("info")["name"] == "marathon"
    assert tools.cli_json("leader")["leader"]
    assert tools.cli_json("plugins") == {"plugins": []}
    assert "hansa_services" in tools.cli("metrics")
    step("cli_about")

    assert f"/{one}" in tools.cli_json("app-ids")["app-ids"]
    assert tools.cli_json("apps", one)["app"]["id"] == f"/{one}"
    assert tools.cli_json("apps")["count"] >= 3
    assert tools.cli_json("apps", one, image)["count"] == 2
    versions = tools.cli_json("app-versions", one)
    assert versions["count"] >= 2
    assert tools.cli_json("app-versions", one, versions["app_versions"][-1])["id"] == f"/{one}"
    assert [group["id"] for group in tools.cli_json("groups")["groups"]] == [f"/{GROUP}"]
    assert tools.cli_json("raw", "apps")["apps"]
    step("cli_lists")

    template = tools.file(
        "app.json.j2", '{"cmd": "sleep 1000", "cpus": 0.05, "mem": 16, "env": {"WHO": "{{ who }}", "ID": "{{ app_id }}"}}'
    )
    assert tools.cli_json("put-app", "--dry-run", f"{GROUP}/cli", template, "who=me")["env"]["WHO"] == "me"
    assert tools.cli_json("put-app", f"{GROUP}/cli", template, "who=me")["deploymentId"]
    assert tools.settled(f"{GROUP}/cli", 1)["env"] == {"WHO": "me", "ID": f"{GROUP}/cli"}
    assert tools.cli_json("put-app", "--force", f"{GROUP}/cli", template, "who=you")["deploymentId"]
    tools.settled(f"{GROUP}/cli", 1)
    step("cli_put_app")

    tasks = tools.cli_json("app-tasks", one)
    assert tasks["count"] == 2 and len(tools.cli_json("tasks")["tasks"]) == 3
    victim = tasks["app_tasks"][0]["id"]
    assert tools.cli_json("delete-tasks", victim)["tasks"][0]["id"] == victim
    until("a replacement", lambda: victim not in [task["id"] for task in tools.settled(one, 2)["tasks"]])
    before = [task["id"] for task in tools.app(one)["tasks"]]
    assert tools.cli_json("delete-app-tasks", one, before[0])["Killed"][0]["task"]["id"] == before[0]
    until("a replacement", lambda: before[0] not in [task["id"] for task in tools.settled(one, 2)["tasks"]])
    assert len(tools.cli_json("delete-app-tasks", one)["Killed"][0]["tasks"]) == 2
    until("replacements", lambda: before[1] not in [task["id"] for task in tools.settled(one, 2)["tasks"]])
    step("cli_tasks")

    assert tools.cli_json("restart-app", "--force", one)["deploymentId"]
    tools.settled(one, 2)
    stuck = tools.file("stuck.json", {"cmd": "sleep 1", "cpus": 100_000})
    tools.cli_json("put-app", f"{GROUP}/stuck", stuck)
    until("it waits", lambda: tools.cli_json("queue")["queue"])
    assert [deployment["affectedApps"] for deployment in tools.cli_json("deployments")] == [[f"/{GROUP}/stuck"]]
    step("cli_queue_and_deployments")

    for name in ("stuck", "cli", "image", "two", "one"):
        assert tools.cli_json("delete-app", f"{GROUP}/{name}")["deploymentId"]
    until("all is gone", lambda: not tools.get("/v2/apps")["apps"])
    step("cli_delete_app")


def check(url):
    with tempfile.TemporaryDirectory() as folder:
        tools = Tools(url, folder)
        check_deploy(tools)
        check_cli(tools)


if __name__ == "__main__":
    marathon_client.main(check, __doc__)
