"""An executor with pymesos: a task's data say what it does.

`sleep`: runs until it is killed. `finish`: ends at once. Messages are sent back with `echo ` before them.
"""

import logging
import sys

from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data


class Told(Executor):
    def registered(self, driver, executor_info, framework_info, agent_info):
        print("registered with", framework_info["id"]["value"], file=sys.stderr, flush=True)

    def reregistered(self, driver, agent_info):
        print("registered again", file=sys.stderr, flush=True)

    def say(self, driver, task_id, state, **more):
        driver.sendStatusUpdate(dict(task_id=task_id, state=state, **more))

    def launchTask(self, driver, task):
        self.say(driver, task["task_id"], "TASK_RUNNING", data=encode_data(b"began"))
        if decode_data(task["data"]) == b"finish":
            self.say(driver, task["task_id"], "TASK_FINISHED", message="as told")

    def killTask(self, driver, task_id):
        self.say(driver, task_id, "TASK_KILLED")

    def frameworkMessage(self, driver, message):
        driver.sendFrameworkMessage(encode_data(b"echo " + decode_data(message)))


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    MesosExecutorDriver(Told()).run()
