"""The synchronous API of the unmodified Python client, steered by a test like driver.py: what blocks there blocks a
thread here. Owns the translation of commands to client calls; what is right or wrong, the test decides."""

import json
import os
import sys
import threading

# Before the client, which takes stdout as it finds it.
from hello import hello
from values import decoded, encoded, failure, say

from hypha_rpc.sync import connect_to_server  # noqa: E402

# Of one connection: handlers, and calls they make.
WORKERS = 8

servers = {}
services = {}
events = {}
handlers = {}
news = threading.Condition()
answering = threading.Lock()


def hello_service(service_id, config):
    own = {
        # A parameter named "items" would hide a method of the client's own maps: its schema comes back from registering.
        "each": lambda things, visit: [visit(thing) for thing in things],
        "hang": lambda: threading.Event().wait(),
    }
    return hello(service_id, config, own)


def connect(name, options):
    servers[name] = connect_to_server({**options, "sync_max_workers": WORKERS})
    config = servers[name].config
    return {"workspace": config.workspace, "client": config.client_id, "user": encoded(config.user)}


def config(name):
    return encoded(servers[name].config)


def register(name, id, config={}, more={}):
    return servers[name].register_service({**hello_service(id, config), **more})["id"]


def unregister(name, id):
    servers[name].unregister_service(id)


def find(name, id, options={}):
    service = servers[name].get_service(id, options)
    services[f"{name} {id}"] = service
    return {"id": service["id"], "methods": sorted(key for key in service if callable(service[key]))}


def call(name, id, method, args=[], kwargs={}):
    function = services[f"{name} {id}"]
    for part in method.split("."):
        function = function[part]
    return encoded(function(*decoded(args), **decoded(kwargs)))


def manage(name, method, args=[], kwargs={}):
    return encoded(servers[name][method](*decoded(args), **decoded(kwargs)))


def visit(name, id, items):
    """Call `each` with a callback; the callback's own view comes back too."""
    seen = []

    def visitor(item):
        seen.append(item)
        return item * 10

    return {"result": services[f"{name} {id}"]["each"](items, visitor), "seen": seen}


def drain(name, id, upto):
    return list(services[f"{name} {id}"]["count"](upto))


def on(name, event):
    received = events.setdefault(f"{name} {event}", [])

    def handler(message):
        with news:
            received.append({"data": encoded(message.get("data")), "from": message.get("from")})
            news.notify_all()

    handlers[f"{name} {event}"] = handler
    servers[name].on(event, handler)


def off(name, event):
    servers[name].off(event, handlers[f"{name} {event}"])


def heard(name, event, count=0):
    """What the handlers of the event got, as soon as it is `count` messages."""
    received = events.setdefault(f"{name} {event}", [])
    with news:
        news.wait_for(lambda: len(received) >= count)
        return list(received)


def emit(name, message):
    servers[name].emit(decoded(message))


def disconnect(name):
    servers.pop(name).disconnect()


COMMANDS = {
    command.__name__: command
    for command in (
        connect, config, register, unregister, find, call, manage, visit, drain, on, off, heard, emit, disconnect,
    )
}


def run(line):
    request = json.loads(line)
    try:
        answer = {"ok": True, "value": COMMANDS[request["do"]](**request["with"])}
    except Exception as error:
        answer = failure(error)
    with answering:
        say(request["id"], answer)


for line in sys.stdin:
    threading.Thread(target=run, args=(line,), daemon=True).start()
os._exit(0)
