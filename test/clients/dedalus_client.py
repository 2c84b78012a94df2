"""Drives a control plane with the vendor's own client, and prints what it saw as one line of JSON.

Address and key come from DEDALUS_BASE_URL and DEDALUS_API_KEY, as for every user of the client.
"""

import asyncio
import json
import time

import httpx
from dedalus_sdk import (
    APIStatusError,
    AsyncDedalus,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    Dedalus,
    NotFoundError,
    UnprocessableEntityError,
)
from dedalus_sdk._streaming import Stream

sent = []
client = Dedalus(http_client=httpx.Client(event_hooks={"request": [lambda r: sent.append(r.method)]}))
machines = client.machines
seen = {}


def follow(machine_id, after=None):
    """Every payload of the status stream, until the service closes it."""
    headers = {} if after is None else {"Last-Event-ID": after}
    return list(
        client.get(
            f"/v1/machines/{machine_id}/status/stream",
            cast_to=object,
            stream=True,
            stream_cls=Stream[object],
            options={"headers": headers},
        )
    )


def phases(machine_id):
    return [payload["status"]["phase"] for payload in follow(machine_id)]


def facts(machine):
    return {
        "id": machine.machine_id,
        "phase": machine.phase,
        "desired": machine.desired_state,
        "vcpu": machine.vcpu,
        "memory": machine.memory_mib,
        "storage": machine.storage_gib,
        "autosleep": machine.autosleep_seconds,
    }


def failure(kind, call):
    """What a call that must fail failed with, and how many requests that took."""
    before = len(sent)
    try:
        call()
    except APIStatusError as error:
        return {
            "expected": isinstance(error, kind),
            "status": error.status_code,
            "body": error.body,
            "sent": len(sent) - before,
        }
    return {"expected": False}


# Machines.
first = machines.create()
seen["empty_create"] = facts(first)
stream = follow(first.machine_id)
seen["create_ends_with"] = stream[-1]["status"]["phase"]
seen["revisions"] = [payload["status"]["revision"] for payload in stream]
seen["resumed"] = [p["status"]["revision"] for p in follow(first.machine_id, after="2")]
seen["retrieved"] = machines.retrieve(machine_id=first.machine_id).status.phase

second = machines.create(vcpu=0.5, memory_mib=512, storage_gib=1, autosleep="1h30m", idempotency_key="second")
seen["second"] = facts(second)
again = machines.create(vcpu=0.5, memory_mib=512, storage_gib=1, autosleep="1h30m", idempotency_key="second")
seen["same_key_same_machine"] = again.machine_id == second.machine_id
phases(second.machine_id)
seen["listed"] = [facts(machine) for machine in machines.list()]
seen["listed_by_one"] = [machine.machine_id for machine in machines.list(limit=1)]

seen["updated"] = facts(machines.update(machine_id=second.machine_id, memory_mib=1024, autosleep="never"))
machines.sleep(machine_id=second.machine_id)
seen["sleep_ends_with"] = phases(second.machine_id)[-1]
machines.wake(machine_id=second.machine_id)
seen["wake_ends_with"] = phases(second.machine_id)[-1]

# Executions.
run = machines.executions.create(
    machine_id=first.machine_id,
    command=["sh", "-c", 'echo "hello $NAME"; cat; echo oops >&2; exit 3'],
    env={"NAME": "client"},
    stdin="from stdin\n",
)
deadline = time.monotonic() + 20
while run.status in ("wake_in_progress", "queued", "running") and time.monotonic() < deadline:
    time.sleep(0.02)
    run = machines.executions.retrieve(machine_id=first.machine_id, execution_id=run.execution_id)
at = {"machine_id": first.machine_id, "execution_id": run.execution_id}
output = machines.executions.output(**at)
seen["execution"] = {
    "status": run.status,
    "exit_code": run.exit_code,
    "env_keys": run.env_keys,
    "stdout": output.stdout,
    "stderr": output.stderr,
    "events": [event.type for event in machines.executions.events(**at)],
    "listed": [item.execution_id == run.execution_id for item in machines.executions.list(machine_id=first.machine_id)],
    "deleted": machines.executions.delete(**at).status,
}
seen["execution_gone"] = failure(NotFoundError, lambda: machines.executions.retrieve(**at))

# Failures, by class.
stranger = client.with_options(api_key="not-the-key")
seen["wrong_key"] = failure(AuthenticationError, lambda: stranger.machines.list())
seen["unknown_machine"] = failure(NotFoundError, lambda: machines.retrieve(machine_id="dm-nobody"))
seen["invalid_size"] = failure(UnprocessableEntityError, lambda: machines.create(vcpu=0.3))
seen["no_key"] = failure(
    BadRequestError,
    lambda: client.post("/v1/machines", cast_to=object, body={}, options={"headers": {"Idempotency-Key": ""}}),
)
seen["key_reused"] = failure(ConflictError, lambda: machines.create(vcpu=4, idempotency_key="second"))
seen["stale_revision"] = failure(
    ConflictError,
    lambda: machines.update(machine_id=second.machine_id, vcpu=1, extra_headers={"If-Match": '"1"'}),
)

# The end of both machines.
for machine in (first, second):
    machines.delete(machine_id=machine.machine_id)
    seen["delete_ends_with"] = phases(machine.machine_id)[-1]
seen["left"] = [machine.machine_id for machine in machines.list()]

# The client's own strict reading of answers; its asynchronous twin.
strict = Dedalus(_strict_response_validation=True)
third = strict.machines.create()
seen["strict"] = [item.phase in ("accepted", "placement_pending", "starting", "running") for item in strict.machines.list()]
seen["strict_delete"] = strict.machines.delete(machine_id=third.machine_id).desired_state


async def asynchronously():
    async with AsyncDedalus() as twin:
        machine = await twin.machines.create(vcpu=0.25)
        read = await twin.machines.retrieve(machine_id=machine.machine_id)
        gone = await twin.machines.delete(machine_id=machine.machine_id)
        return [read.vcpu, gone.desired_state]


seen["async"] = asyncio.run(asynchronously())
print(json.dumps(seen))
