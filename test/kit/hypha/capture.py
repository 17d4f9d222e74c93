"""
Fills a real Hypha with what a laboratory might have, and writes what is then in its Redis to a file.

How redis-0.21.137.json was made (Python 3.11, Redis 7.0.15):

    pip install hypha==0.21.137 redis aiobotocore "sqlmodel==0.0.27" "sqlalchemy<2.1"
    redis-server --port 16399 --save ""
    HYPHA_JWT_SECRET=$SECRET python -m hypha.server --host 127.0.0.1 --port 19527 \
        --redis-uri redis://127.0.0.1:16399/0 --root-token $ROOT
    python capture.py http://127.0.0.1:19527 $ROOT $SECRET 16399 redis-0.21.137.json
"""

import asyncio
import json
import sys

import redis
from hypha_rpc import connect_to_server

URL, ROOT, SECRET, REDIS_PORT, FILE = sys.argv[1:6]
LONG = 10**9
"""Seconds: tokens must not end before the tests do."""


async def main():
    root = await connect_to_server({"server_url": URL, "token": ROOT, "client_id": "root-filler"})
    owners = ["ada@example.org", "grace"]
    await root.create_workspace(
        {"id": "lab-images", "description": "Images of the lab", "persistent": True, "owners": owners}
    )
    for name in ("lab-temporary", "lab-empty"):
        await root.create_workspace({"id": name, "persistent": False, "owners": owners})

    async def token(workspace, permission):
        config = {"workspace": workspace, "permission": permission, "expires_in": LONG}
        return await root.generate_token(config)

    tokens = {
        "admin": await token("lab-images", "admin"),
        "read": await token("lab-images", "read"),
        "revoked": await token("lab-images", "read_write"),
        "temporary": await token("lab-temporary", "read_write"),
    }
    lab = await connect(tokens["admin"], "lab-images", "microscope")
    await lab.set_env("API_KEY", "s3cret")
    await lab.revoke_token(tokens["revoked"])
    await lab.register_service_type(
        {"id": "lab-images/viewer", "name": "viewer", "definition": {"open": {"type": "object"}}}
    )
    for name, visibility in (("images", "public"), ("private", "protected")):
        config = {"visibility": visibility}
        service = {"id": name, "name": name.title(), "type": name, "description": f"The {name}", "config": config}
        await lab.register_service({**service, "add": lambda a, b: a + b})
    camera = await connect(tokens["temporary"], "lab-temporary", "camera")
    await camera.register_service({"id": "stream", "name": "Stream", "next": lambda: 1})
    await connect_to_server({"server_url": URL, "client_id": "passer-by"})

    store = redis.Redis(port=int(REDIS_PORT), decode_responses=True)
    tokens["reconnection"] = lab.config["reconnection_token"]
    document = {
        "hypha": store.get("hypha_version"),
        "redis": store.info("server")["redis_version"],
        "secret": SECRET,
        "tokens": tokens,
        "keys": [entry(store, key) for key in sorted(store.keys("*"))],
    }
    with open(FILE, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


async def connect(token, workspace, client_id):
    return await connect_to_server(
        {"server_url": URL, "token": token, "workspace": workspace, "client_id": client_id}
    )


def entry(store, key):
    kind = store.type(key)
    read = {"string": store.get, "hash": store.hgetall, "list": lambda name: store.lrange(name, 0, -1)}
    found = {"key": key, "type": kind, "value": read[kind](key)}
    seconds = store.ttl(key)
    return {**found, "ttl": seconds} if seconds > 0 else found


asyncio.run(main())
