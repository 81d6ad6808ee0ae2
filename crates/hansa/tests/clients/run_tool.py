"""Runs a command of a client from PyPI, which stays as it is, with what the Python of its time had and today's has not.

    run_tool.py marathon|marathon-deploy|marathon-check ARGUMENTS…
"""

import collections
import collections.abc
import sys

import click
from requests.structures import CaseInsensitiveDict

for name in collections.abc.__all__:
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))
CaseInsensitiveDict.iteritems = CaseInsensitiveDict.items

# A file opened for bytes was a file of text.
file_init = click.File.__init__
click.File.__init__ = lambda self, mode="r", *rest, **more: file_init(self, mode.replace("b", ""), *rest, **more)

del sys.argv[0]
if sys.argv[0] == "marathon":
    from marathon_cli import main
elif sys.argv[0] == "marathon-deploy":
    from marathon_deploy.deploytool import main
elif sys.argv[0] == "marathon-check":
    from marathon_deploy.checkappdeploy import main
else:
    sys.exit(__doc__)
main()
