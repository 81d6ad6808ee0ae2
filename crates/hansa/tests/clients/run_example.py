"""Runs pymesos' example scheduler as it is, with what a Python of today needs and it does not bring.

    run_example.py PATH MASTER [FRAMEWORK_ID]

It gives `encode_data` a text, which was the same as bytes in the Python that it was written for. With an id it subscribes
as that framework, as it would if it had kept its id.
"""

import runpy
import sys

import pymesos

encode_data = pymesos.encode_data
pymesos.encode_data = lambda data: encode_data(data.encode() if isinstance(data, str) else data)

if len(sys.argv) == 4:
    identity = dict(value=sys.argv.pop())

    class Again(pymesos.MesosSchedulerDriver):
        def __init__(self, scheduler, framework, *more, **options):
            super().__init__(scheduler, dict(framework, id=identity), *more, **options)

    pymesos.MesosSchedulerDriver = Again

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
