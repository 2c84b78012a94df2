"""Drives the official nullspace-sdk through everything that the embedded control plane serves; prints what it saw as JSON.

Argument: the URL of a webhook receiver. NULLSPACE_API_URL and NULLSPACE_API_KEY name the control plane.
"""

import asyncio
import io
import json
import os
import queue
import random
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from pathlib import Path

from nullspace import AsyncMachine, Lifecycle, Machine, Monitor, Snapshot, Volume
from nullspace.errors import (
    AuthError,
    ConflictError,
    MachineError,
    NotFoundError,
    NotImplementedError as NullspaceNotImplementedError,
    UploadChecksumError,
    UploadConflictError,
)
from nullspace.types import MachineQuery, MachineStatus

seen = {}


def failure(kind, call):
    """What the client raises: its class and code."""
    try:
        call()
    except kind as error:
        return {"kind": type(error).__name__, "code": getattr(error, "code", None), "message": str(error)}
    return None


def facts(info):
    return {
        "id": info.id,
        "status": getattr(info.status, "value", info.status),
        "template": info.template,
        "vcpus": info.config.vcpus if hasattr(info, "config") else info.vcpus,
        "metadata": info.metadata,
        "timeout_ms": info.timeout_ms,
    }


def until(what, seconds=20):
    """Waits for something that another thread brings about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("did not happen in time")


def event_facts(event):
    return {
        "id": event.id,
        "operation": getattr(event.operation, "value", event.operation),
        "status": getattr(event.status, "value", event.status),
        "machine_id": event.machine_id,
        "snapshot_id": event.snapshot_id,
        "source_machine_id": event.source_machine_id,
        "target_machine_id": event.target_machine_id,
        "audience": getattr(event.audience, "value", event.audience),
    }


def commands(machine):
    result = machine.commands.run("echo", ["out"])
    seen["run"] = [result.exit_code, result.stdout, result.stderr]
    result = machine.commands.run("echo $WHO; echo err >&2; exit 3", shell=True, envs={"WHO": "me"})
    seen["run_shell"] = [result.exit_code, result.stdout, result.stderr]
    seen["missing_program"] = machine.commands.run("no-such-program").exit_code
    seen["exec_timeout"] = failure(MachineError, lambda: machine.commands.run("sleep", ["30"], timeout=1))

    pieces = []
    result = machine.commands.run_streaming(
        "for i in 1 2 3; do echo tick-$i; sleep 0.05; done; echo bad >&2",
        shell=True,
        on_stdout=lambda data: pieces.append(["stdout", data]),
        on_stderr=lambda data: pieces.append(["stderr", data]),
    )
    seen["streaming"] = {
        "exit_code": result.exit_code,
        "stdout": "".join(data for stream, data in pieces if stream == "stdout"),
        "stderr": "".join(data for stream, data in pieces if stream == "stderr"),
    }
    seen["utf8"] = machine.commands.run_streaming(
        r"printf '\303'; sleep 0.1; printf '\251t\303\251'", shell=True
    ).stdout

    background = machine.commands.run("read line; echo got $line; sleep 0.2", shell=True, background=True)
    machine.commands.send_stdin(background.pid, "hello\n")
    result = background.wait()
    seen["background"] = [result.exit_code, result.stdout]
    logs = machine.commands.get_logs(background.pid)
    seen["logs"] = [logs.exit_code, logs.stdout, logs.output]

    worker = machine.commands.run("echo begin; sleep 60", shell=True, background=True, on_stdout=lambda data: None)
    seen["listed_process"] = [[p.command, p.running] for p in machine.commands.list() if p.pid == worker.pid]
    worker.disconnect()
    heard = []
    attached = machine.commands.connect(worker.pid, on_stdout=heard.append)
    machine.commands.kill(worker.pid)
    seen["killed"] = attached.wait().exit_code
    seen["attach_unknown"] = failure(Exception, lambda: machine.commands.connect(999_999_999).wait())


def terminal(machine):
    session = machine.pty.create_session(cols=90, rows=20)
    try:
        session.resize(100, 40)
        session.send_input("stty size; exit 7\n")
        output = bytearray()
        result = session.wait(on_data=output.extend, timeout=20)
        seen["pty"] = {"exit_code": result.exit_code, "resized": b"40 100" in bytes(output)}
    finally:
        session.disconnect()
    seen["pty_list_empty"] = [s.session_id for s in machine.pty.list_sessions()]
    other = machine.pty.create_session()
    seen["pty_listed"] = [s.session_id for s in machine.pty.list_sessions()] == [other.session_id]
    machine.pty.kill_session(other.session_id)
    other.disconnect()


def files(machine):
    machine.files.make_dir("/root/box")
    written = machine.files.write("/root/box/a.txt", "héllo")
    seen["file_written"] = [written.path, written.size]
    seen["file_read"] = machine.files.read("/root/box/a.txt")
    machine.files.write("/root/box/b.bin", bytes(range(256)))
    seen["file_bytes"] = list(machine.files.read("/root/box/b.bin", format="bytes")) == list(range(256))
    seen["file_list"] = sorted(f.name for f in machine.files.list("/root/box"))
    info = machine.files.info("/root/box/a.txt")
    seen["file_info"] = [info.name, info.size, info.is_dir]
    seen["file_exists"] = [machine.files.exists("/root/box/a.txt"), machine.files.exists("/root/box/none")]
    machine.files.rename("/root/box/a.txt", "/root/box/c.txt")
    seen["file_renamed"] = sorted(f.name for f in machine.files.list("/root/box"))
    seen["file_found"] = [[m.line, m.content] for m in machine.files.find_files("/root/box", "h.llo")]

    events = queue.Queue()
    handle = machine.files.watch_dir("/root/box", events.put)
    machine.files.write("/root/box/new.txt", "x")
    names = []
    until(lambda: names.append(events.get(timeout=20).name) or "new.txt" in names)
    handle.stop()
    seen["file_watched"] = "new.txt" in names

    big = random.randbytes(20 * 1024 * 1024)
    result = machine.files.upload(io.BytesIO(big), "/root/box/big")
    seen["file_uploaded"] = [result.transport.value, result.session.status.value, machine.files.info("/root/box/big").size]
    seen["file_same"] = b"".join(machine.files.read("/root/box/big", format="stream")) == big
    batch = machine.files.write_files([("/root/box/many/1", "one"), ("/root/box/many/2", b"two")])
    seen["file_batch"] = [[f.path, f.size] for f in batch]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sub").mkdir()
        Path(folder, "sub", "x.txt").write_text("from a folder")
        os.symlink("sub/x.txt", Path(folder, "link"))
        result = machine.files.upload_dir(folder, "/root/box/tree")
        seen["file_folder"] = [result.file_count, machine.files.read("/root/box/tree/link")]
        again = lambda: machine.files.upload_dir(folder, "/root/box/tree", conflict="error")
        seen["file_conflict"] = failure(UploadConflictError, again)
    session = machine._client.create_upload_session(
        machine.id,
        kind="file",
        source_kind="restartable_file",
        target_path="/root/box/resumed",
        content_length=len(big),
        conflict="replace",
    )
    wrong = lambda: machine._client.upload_session_part(
        machine.id, session.upload_id, 0, big[: session.part_size], part_sha256="0" * 64
    )
    seen["file_checksum"] = failure(UploadChecksumError, wrong)
    machine._client.upload_session_part(machine.id, session.upload_id, 0, big[: session.part_size])
    with tempfile.NamedTemporaryFile() as source:
        source.write(big)
        source.flush()
        result = machine.files.resume_upload(session.upload_id, source.name)
        seen["file_resumed"] = [result.resumed, machine.files.info("/root/box/resumed").size]
    put = urllib.request.Request(machine.files.upload_url("/root/box/by-url").url, data=b"by url", method="PUT")
    urllib.request.urlopen(put).close()
    with urllib.request.urlopen(machine.files.download_url("/root/box/by-url")) as answer:
        seen["file_by_url"] = answer.read().decode()
    machine.files.remove("/root/box/c.txt")
    seen["file_missing"] = failure(MachineError, lambda: machine.files.read("/root/box/c.txt"))


def lifecycle(run, hook_url):
    life = Lifecycle()
    webhook = life.create_webhook(url=hook_url, operations=["create", "destroy"], signing_secret="a-signing-secret")
    seen["webhook"] = [webhook.url, webhook.enabled, webhook.has_signing_secret]
    seen["webhook_listed"] = [w.id for w in life.list_webhooks()] == [webhook.id]

    heard = queue.Queue()
    errors = []
    subscription = life.subscribe(operation="create", on_event=heard.put, on_error=errors.append)
    machine = Machine.create(metadata={"run": run, "part": "lifecycle"}, timeout=600)
    event = heard.get(timeout=20)
    while event.machine_id != machine.id:
        event = heard.get(timeout=20)
    seen["subscribed"] = event_facts(event)
    subscription.stop()

    snapshot = machine.create_snapshot()
    machine.hibernate()
    machine = Machine.resume(machine.id)
    child = machine.fork()
    seen["fork_differs"] = child.id != machine.id
    events = life.list_machine_events(machine.id, order_asc=True, limit=50).events
    seen["history"] = [[e.operation.value, e.status.value] for e in events]
    seen["fork_event"] = [event_facts(e) for e in life.list_machine_events(child.id, operation="fork").events]
    seen["fork_ids"] = [machine.id, child.id]
    seen["snapshot_events"] = [event_facts(e) for e in life.list_snapshot_events(snapshot.id).events]
    first = life.list_events(machine_id=machine.id, order_asc=True, limit=1)
    seen["first_page"] = [first.has_more, first.events[0].id == events[0].id]

    # The stream replays what was missed, and goes on live.
    replayed = []
    stream = life.stream_events(machine_id=machine.id, after_event_id=events[0].id)
    for event in stream:
        replayed.append(event.id)
        if len(replayed) == len(events) - 1:
            break
    stream.close()
    seen["replayed_all"] = replayed == [e.id for e in events[1:]]
    scoped = machine.stream_events(replay_limit=3)
    seen["scoped"] = [next(scoped).id for _ in range(3)] == [e.id for e in events[-3:]]
    scoped.close()
    seen["stream_unknown_cursor"] = failure(
        MachineError, lambda: next(life.stream_events(after_event_id=str(uuid.uuid4())))
    )

    child.kill()
    machine.kill()
    Snapshot.delete(snapshot.id)
    deliveries = until(
        lambda: [
            d
            for d in life.list_webhook_deliveries(webhook.id, limit=100)
            if d.operation.value == "destroy" and d.delivery_status.value == "succeeded"
        ]
    )
    detail = life.get_webhook_delivery(webhook.id, deliveries[0].id)
    seen["delivery"] = [detail.event.operation.value, len(detail.attempts), detail.attempts[0].response_status]
    changed = life.update_webhook(webhook.id, enabled=False)
    seen["webhook_changed"] = changed.enabled
    life.delete_webhook(webhook.id)
    seen["webhook_gone"] = failure(NotFoundError, lambda: life.get_webhook(webhook.id))
    life.close()


def machines(run):
    key = str(uuid.uuid4())
    machine = Machine.create(
        vcpus=1,
        memory_mb=512,
        timeout=600,
        timeout_action="hibernate",
        metadata={"run": run, "part": "main"},
        envs={"TEAM": "blue"},
        cwd="/root/work",
        auto_resume=True,
        idempotency_key=key,
    )
    again = Machine.create(
        vcpus=1,
        memory_mb=512,
        timeout=600,
        timeout_action="hibernate",
        metadata={"run": run, "part": "main"},
        envs={"TEAM": "blue"},
        cwd="/root/work",
        auto_resume=True,
        idempotency_key=key,
    )
    seen["same_key_same_machine"] = again.id == machine.id
    seen["key_conflict"] = failure(ConflictError, lambda: Machine.create(timeout=601, idempotency_key=key))
    seen["created"] = facts(machine.get_info())
    seen["env_and_cwd"] = machine.commands.run("echo $TEAM; pwd", shell=True).stdout
    commands(machine)
    terminal(machine)
    files(machine)

    lease = machine.set_timeout(900)
    seen["lease"] = [lease.timeout_ms, getattr(lease.timeout_action, "value", lease.timeout_action)]
    with machine.keep_alive(timeout_secs=900):
        pass
    seen["metrics"] = machine.get_metrics()[0].mem_total_bytes
    seen["host"] = machine.get_host(8080)
    seen["egress_same"] = failure(MachineError, lambda: machine.update_egress({"mode": "allow_all"}))

    machine.files.write("/root/kept.txt", "kept")
    snapshot = machine.create_snapshot()
    seen["snapshot"] = [snapshot.machine_id == machine.id, snapshot.size_bytes > 0]
    seen["snapshots_listed"] = snapshot.id in [s.id for s in Snapshot.list(machine_id=machine.id)]
    copy = Machine.create(snapshot_id=snapshot.id, metadata={"run": run, "part": "copy"})
    seen["from_snapshot"] = [copy.files.read("/root/kept.txt"), copy.commands.run("echo $TEAM", shell=True).stdout]
    Snapshot.delete(snapshot.id)
    seen["copy_lives"] = copy.files.read("/root/kept.txt")
    seen["snapshot_gone"] = failure(NotFoundError, lambda: Snapshot.get(snapshot.id))

    asleep = machine.hibernate()
    seen["asleep"] = facts(machine.get_info())["status"]
    seen["hibernation_in_use"] = failure(ConflictError, lambda: Snapshot.delete(asleep.id))
    seen["hibernate_twice"] = failure(ConflictError, lambda: machine.hibernate())
    seen["paused_listed"] = [m.id for m in Machine.list(query=MachineQuery(state=[MachineStatus.PAUSED], metadata={"run": run}))]
    seen["auto_resumed"] = machine.commands.run("cat", ["/root/kept.txt"]).stdout
    machine.hibernate()
    woken = Machine.connect(machine.id)
    seen["connected"] = [woken.id == machine.id, woken.is_running()]

    listed = list(Machine.list(limit=1, query=MachineQuery(metadata={"run": run})))
    seen["paged"] = sorted(m.metadata["part"] for m in listed)
    seen["fields"] = Machine.get_info_by_id(machine.id, fields=["id", "status"])

    monitored = queue.Queue()
    subscription = Monitor().subscribe(on_snapshot=monitored.put, on_update=monitored.put)
    seen["monitored"] = len(monitored.get(timeout=20).machines) >= 2
    subscription.stop()

    ids = [machine.id, copy.id]
    copy.kill()
    machine.kill()
    seen["gone"] = failure(NotFoundError, lambda: Machine.get_info_by_id(ids[0]))
    seen["left"] = [m.id for m in Machine.list(query=MachineQuery(metadata={"run": run}))]
    seen["ids"] = ids


def refusals():
    seen["wrong_key"] = failure(AuthError, lambda: list(Machine.list(api_key="ns_live_not-the-right-key-at-all")))
    seen["unknown_machine"] = failure(NotFoundError, lambda: Machine.get_info_by_id("mch_unknown"))
    seen["unknown_template"] = failure(MachineError, lambda: Machine.create(template="no-such-template"))
    seen["desktop"] = failure(NotFoundError, lambda: Machine.create(template="desktop"))
    seen["volumes"] = failure(NullspaceNotImplementedError, lambda: list(Volume.list()))


async def asynchronously(run):
    machine = await AsyncMachine.create(metadata={"run": run, "part": "async"})
    pieces = []
    result = await machine.commands.run_streaming("echo async", shell=True, on_stdout=pieces.append)
    info = await machine.get_info()
    await machine.kill()
    return [result.exit_code, "".join(pieces), getattr(info.status, "value", info.status)]


def main():
    run = uuid.uuid4().hex
    parts = [
        ("machines", lambda: machines(run)),
        ("lifecycle", lambda: lifecycle(run, sys.argv[1])),
        ("refusals", refusals),
    ]
    for name, part in parts:
        part()
    seen["async"] = asyncio.run(asynchronously(run))
    print(json.dumps(seen))


main()
