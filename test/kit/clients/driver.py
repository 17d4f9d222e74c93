"""The unmodified Python client, steered by a test: one JSON command a line in, one JSON answer a line out.
Owns the translation of commands to client calls; what is right or wrong, the test decides. Twin of driver.mjs."""

import asyncio
import json
import os
import sys
import threading
import urllib.request

# Before the client, which takes stdout as it finds it.
from hello import hello
from values import decoded, encoded, failure, say

from hypha_rpc import connect_to_server, login  # noqa: E402

servers = {}
services = {}
recorded = {}
events = {}
handlers = {}
waiting = []


def hello_service(service_id, config):
    order = recorded.setdefault(service_id, [])

    def record(sender, seq):
        order.append([sender, seq])
        return seq * 2

    async def each(items, visit):
        return [await visit(item) for item in items]

    async def hang():
        await asyncio.Event().wait()

    own = {
        "record": record,
        "each": each,
        "hang": hang,
        "setup": lambda: record("setup", 0),
        # What instances are compared by; one that has no weight says nothing.
        "weight": lambda: config.get("weight"),
    }
    return hello(service_id, config, own)


async def connect(name, options):
    servers[name] = await connect_to_server(options)
    config = servers[name].config
    return {"workspace": config.workspace, "client": config.client_id, "user": encoded(config.user)}


async def log_in(options, logged_in):
    """The client's own login: `logged_in` is where its page would post to, with whose name and password."""

    async def person(context):
        await asyncio.to_thread(post, logged_in["url"], {**logged_in["fields"], "key": context["key"]})

    return encoded(await login({**options, "login_callback": person}))


def post(url, fields):
    headers = {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(fields).encode(), headers))


async def config(name):
    """What the server told about itself and the connection."""
    return encoded(servers[name].config)


async def register(name, id, config={}, more={}):
    """`more`: further fields of the service."""
    return (await servers[name].register_service({**hello_service(id, config), **more}))["id"]


async def unregister(name, id):
    await servers[name].unregister_service(id)


async def find(name, id, options={}):
    service = await servers[name].get_service(id, options)
    services[f"{name} {id}"] = service
    return {"id": service["id"], "methods": sorted(key for key in service if callable(service[key]))}


async def call(name, id, method, args=[], kwargs={}):
    function = services[f"{name} {id}"]
    for part in method.split("."):
        function = function[part]
    return encoded(await function(*decoded(args), **decoded(kwargs)))


async def manage(name, method, args=[], kwargs={}):
    return encoded(await servers[name][method](*decoded(args), **decoded(kwargs)))


async def visit(name, id, items):
    """Call `each` with a callback; the callback's own view comes back too."""
    seen = []

    def visitor(item):
        seen.append(item)
        return item * 10

    return {"result": await services[f"{name} {id}"]["each"](items, visitor), "seen": seen}


async def drain(name, id, upto):
    return [item async for item in await services[f"{name} {id}"]["count"](upto)]


async def flood(name, id, sender, count):
    """All calls in flight at once; the results in the order of the calls."""
    function = services[f"{name} {id}"]["record"]
    return await asyncio.gather(*(function(sender, seq) for seq in range(count)))


async def order(id):
    return recorded.get(id, [])


def events_of(name):
    """The server object has events of its own only over a WebSocket."""
    return servers[name].rpc


async def on(name, event, once=False):
    received = events.setdefault(f"{name} {event}", [])

    def handler(message):
        received.append({"data": encoded(message.get("data")), "from": message.get("from")})
        for wanted, count, future in waiting:
            if wanted is received and len(received) >= count and not future.done():
                future.set_result(None)

    handlers[f"{name} {event}"] = handler
    (events_of(name).once if once else events_of(name).on)(event, handler)


async def off(name, event):
    events_of(name).off(event, handlers[f"{name} {event}"])


async def heard(name, event, count=0):
    """What the handlers of the event got, as soon as it is `count` messages."""
    received = events.setdefault(f"{name} {event}", [])
    if len(received) < count:
        future = asyncio.get_running_loop().create_future()
        waiting.append((received, count, future))
        await future
    return received


async def emit(name, message):
    await events_of(name).emit(decoded(message))


async def notices(name, event, to, first, count):
    for seq in range(first, first + count):
        await events_of(name).emit({"type": event, "to": to, "data": seq})


async def disconnect(name):
    await servers.pop(name).disconnect()


COMMANDS = {
    command.__name__: command
    for command in (
        connect, log_in, config, register, unregister, find, call, manage, visit, drain, flood, order,
        on, off, heard, emit, notices, disconnect,
    )
}


async def run(line):
    request = json.loads(line)
    try:
        answer = {"ok": True, "value": await COMMANDS[request["do"]](**request["with"])}
    except Exception as error:
        answer = failure(error)
    say(request["id"], answer)


async def main():
    loop = asyncio.get_running_loop()
    tasks = set()
    ended = asyncio.Event()

    def start(line):
        task = loop.create_task(run(line))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(start, line)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, daemon=True).start()
    await ended.wait()
    os._exit(0)


asyncio.run(main())
