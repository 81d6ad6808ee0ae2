"""What schemathesis may send. An agent does what apps say, so commands are taken from a few that are known and addresses
lead nowhere; everything else is schemathesis's own."""

import schemathesis

COMMANDS = ["true", "exit 1", "sleep 1000"]
# Nobody is there.
IMAGES = ["", "127.0.0.1:1/a", "127.0.0.1:1/a:1"]
ADDRESSES = ["", "http://127.0.0.1:1/a", "file:///nonexistent/a.tgz"]


# Fields whose texts have an effect outside the master; `value` is that of a check's command, and of a parameter, which does
# not mind.
TEXTS = {"cmd": COMMANDS, "value": COMMANDS, "image": IMAGES, "uri": ADDRESSES}


def tamed(value):
    """The same, with other commands and addresses."""
    if isinstance(value, list):
        return [tamed(item) for item in value]
    if isinstance(value, dict):
        return {name: field(name, item) for name, item in value.items()}
    return value


def field(name, value):
    if name in TEXTS and isinstance(value, str):
        return TEXTS[name][len(value) % len(TEXTS[name])]
    if name in ("args", "argv", "uris") and isinstance(value, list):
        return ["/bin/true" if isinstance(item, str) else tamed(item) for item in value]
    return tamed(value)


@schemathesis.hook
def map_body(context, body):
    return tamed(body)
