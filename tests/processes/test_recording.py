"""`kill -9` in the middle of recordings: all but the last second is kept, and goes its way after the start.

So does what was finished and had not reached its storage yet: a bucket whose server is away.
"""

from __future__ import annotations

import io
import socket
import threading
import time
import urllib.request
import wave
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.media.g711 import encode
from tests.calls.caller import Call, Caller
from tests.calls.daemon import HOST, Daemon, daemon
from tests.calls.rtp import Described, Packet, codes, offer
from tests.storages.bucket import BUCKET, Bucket, bucket

pytestmark = pytest.mark.server

NUMBER = "+14155550150"
FRAME = 160
LOST_SECONDS = 1.0


def record(**option: Any) -> list[dict[str, Any]]:
    return [
        {"type": "answer"},
        {"type": "recording_start", "option": option},
        {"type": "sleep", "option": {"duration": 60_000}},
    ]


def speak(edge: Daemon, caller: Caller, call: Call, encoded: bytes) -> None:
    """Say it once it is recorded, a packet for each that is heard."""
    there = Described.read(call.answered().body).address
    edge.wait_until(lambda: edge.metric("edge_recordings_active"), "a recording")
    caller.drain()
    for count in range(len(encoded) // FRAME):
        caller.hear(1)
        part = encoded[count * FRAME : (count + 1) * FRAME]
        caller.rtp.sendto(bytes(Packet(0, not count, count, FRAME * count, 77, part)), there)


def recordings(edge: Daemon) -> list[dict[str, Any]]:
    return edge.all("/v1.0/recordings")


def left_of(edge: Daemon, recording: dict[str, Any]) -> bytes:
    """What the caller said, in µ-law again."""
    request = urllib.request.Request(
        f"{edge.url}/v1.0/recordings/{recording['id']}/file", headers={"Authorization": f"Bearer {edge.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        data = response.read()
    with wave.open(io.BytesIO(data)) as file:
        samples = array("h", file.readframes(file.getnframes()))
    return encode(samples[0::2].tobytes(), "PCMU")


def test_a_kill_costs_no_more_than_the_last_second(tmp_path: Path) -> None:
    spoken = codes(3.0, "PCMU", 1)
    with daemon(tmp_path) as edge, Caller(edge.sip) as caller:
        edge.bind(edge.account(), NUMBER, *record(format="wav"))
        speak(edge, caller, caller.call(NUMBER, offer(caller.media)), spoken)
        (recording,) = recordings(edge)
        assert recording["status"] == "recording"
        edge.kill()
        edge.start()
        edge.wait_until(lambda: recordings(edge)[0]["edge"]["state"] == "stored", "the end of the recording")
        (recording,) = recordings(edge)
        assert (recording["status"], recording["edge"]["ending"]) == ("ended", "interrupted")
        left = left_of(edge, recording)
        assert len(left) == round(recording["edge"]["seconds"] * 8000)
        begun = left.index(spoken[:800])
        kept = left[begun:]
        print(f"\nlost {(len(spoken) - len(kept)) / 8000:.3f} s of {len(spoken) / 8000:g}")
        assert spoken.startswith(kept.rstrip(b"\xff"))
        assert len(kept) >= len(spoken) - LOST_SECONDS * 8000
        assert list((tmp_path / "var" / "spool").iterdir()) == []
        assert edge.lines("recording found interrupted")


@contextmanager
def gate(bucket: Bucket) -> Iterator[Gate]:
    with Gate(bucket) as made:
        yield made


class Gate:
    """A way to the bucket that can be shut: connections are refused then."""

    def __init__(self, bucket: Bucket) -> None:
        self._to = (HOST, int(bucket.url.rpartition(":")[2]))
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://{HOST}:{self.port}"
        self._listener: socket.socket | None = None

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()

    def open(self) -> None:
        self._listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._to)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_an_upload_outlives_the_process(tmp_path: Path) -> None:
    with bucket() as made, gate(made) as way:
        extra = f"""
[recordings.storage]
kind = "s3"
endpoint = "{way.url}"
bucket = "{BUCKET}"
access_key = "{made.access}"
"""
        environ = {"EDGE_RECORDINGS__STORAGE__SECRET_KEY": made.secret}
        with daemon(tmp_path, extra, environ=environ) as edge, Caller(edge.sip) as caller:
            edge.bind(edge.account(), NUMBER, *record(format="ogg"))
            call = caller.call(NUMBER, offer(caller.media))
            speak(edge, caller, call, codes(1.0, "PCMU", 2))
            call.hang_up()
            edge.wait_until(lambda: edge.lines("recording not stored yet"), "a try that fails")
            assert recordings(edge)[0]["edge"]["state"] == "waiting"
            edge.kill()
            way.open()
            edge.start()
            edge.wait_until(lambda: recordings(edge)[0]["edge"]["state"] == "stored", "the upload", 20.0)
            (recording,) = recordings(edge)
            assert (recording["edge"]["storage"], recording["edge"]["ending"]) == ("s3", "hangup")
            key = f"{recording['customer_id']}/{recording['filenames'][0]}"
            body, kind = made.object(key)
            assert (body[:4], kind, len(body)) == (b"OggS", "audio/ogg", recording["edge"]["bytes"])
            headers = {"Authorization": f"Bearer {edge.token}", "Range": "bytes=0-3"}
            request = urllib.request.Request(f"{edge.url}/v1.0/recordings/{recording['id']}/file", headers=headers)
            with urllib.request.urlopen(request, timeout=10) as response:
                assert (response.status, response.read()) == (206, b"OggS")
            edge.ask("DELETE", f"/v1.0/recordings/{recording['id']}")
            assert made.keys() == []
            assert recordings(edge) == []
            assert made.secret not in edge.log.read_text()


def test_a_drain_ends_the_recording_with_its_call(tmp_path: Path) -> None:
    with daemon(tmp_path, drain_seconds=0.2) as edge, Caller(edge.sip) as caller:
        edge.bind(edge.account(), NUMBER, *record())
        speak(edge, caller, caller.call(NUMBER, offer(caller.media)), codes(0.5, "PCMU", 3))
        since = time.monotonic()
        assert edge.stop() == 0
        assert time.monotonic() - since < 5
        edge.start()
        edge.wait_until(lambda: recordings(edge)[0]["edge"]["state"] == "stored", "the end of the recording")
        assert recordings(edge)[0]["edge"]["ending"] == "hangup"
