"""baresip, a phone that others wrote: run without a screen, told what to do over its control socket, and what it heard
on file.

What it says is a file of ours (`aufile`), what it hears is written to another (`sndfile`); its sound card is a bridge
that leads nowhere (`aubridge`).
"""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import time
import wave
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from tests.calls.daemon import free_port

PROGRAM = "baresip"
SECONDS = 10.0  # for what it has to do
HEADER = 44  # bytes of a WAV file before its samples
QUIET = 0.05  # between two looks at what its process does
CONFIG = """
poll_method epoll
sip_listen {host}:{port}
{tls}
call_local_timeout 60
call_max_calls 4
audio_player aubridge,nowhere
audio_source aufile,{folder}/says.wav
audio_alert aubridge,nowhere
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
jitter_buffer_delay 1-10
rtp_ports 27000-28999
net_interface {host}
module_path {modules}
module g711.so
module sndfile.so
module aufile.so
module aubridge.so
module srtp.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {folder}
"""


class Baresip:
    """One phone. Use as a context manager. `events` are what it told and nobody asked for yet."""

    def __init__(
        self,
        folder: Path,
        *,
        says: bytes,
        host: str,
        user: str,
        transport: str = "udp",
        port: int = 0,
        account: str = "",
        certificates: tuple[Path, Path] | None = None,
    ) -> None:
        """`says` is PCM. `account`: further parameters; `certificates`: its own with its key, and whom it trusts."""
        program = shutil.which(PROGRAM)
        if program is None:
            pytest.skip("baresip is not here: apt-get install baresip-core")
        folder.mkdir()
        self.folder = folder
        self.host, self.transport = host, transport
        self.port = port or free_port(socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM, 18400)
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        control = free_port(socket.SOCK_STREAM, 19300)
        write(folder / "says.wav", says)
        own = "" if certificates is None else f"sip_certificate {certificates[0]}\nsip_cafile {certificates[1]}"
        (folder / "config").write_text(
            CONFIG.format(
                # over TLS it listens on the next port
                host=host,
                port=self.port - (transport == "tls"),
                tls=own,
                folder=folder,
                control=control,
                modules=next(Path("/usr/lib").glob("**/baresip/modules")),
            )
        )
        (folder / "accounts").write_text(f"<sip:{user}@{host};transport={transport}>;regint=0{account}\n")
        (folder / "contacts").write_text("")
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [program, "-4", "-f", str(folder)], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        self._control = self._reach((host, control))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._process.terminate()
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def tell(self, command: str, words: str = "") -> str:
        """What it says to a command."""
        text = json.dumps({"command": command, "params": words, "token": command}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))
        answer = self._next(lambda told: told.get("response"), command)
        assert answer["ok"], f"{command} {words}: {answer}\n{self.words()}"
        return str(answer["data"])

    def hears(self, kind: str, **fields: str) -> dict[str, Any]:
        """The next event of that kind with these fields, e.g. CALL_ESTABLISHED."""
        wanted = {"type": kind, **fields}
        return self._next(lambda told: wanted.items() <= told.items(), str(wanted))

    def recorded(self) -> bytes:
        """What it has heard so far, as PCM of 8 kHz."""
        return b"".join(path.read_bytes()[HEADER:] for path in sorted(self.folder.glob("dump-*-dec.wav")))

    def until_heard(self, heard: Callable[[bytes], bool], what: str) -> None:
        """Wait until there is something in what it hears."""
        deadline = time.monotonic() + SECONDS
        while not heard(self.recorded()):
            assert time.monotonic() < deadline, f"{what} was not heard\n{self.words()}"
            time.sleep(QUIET)  # looked at again until the deadline

    def words(self) -> str:
        self._log.flush()
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def _reach(self, address: tuple[str, int]) -> socket.socket:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                found = socket.create_connection(address, SECONDS)
                found.settimeout(QUIET)
                return found
            except OSError:
                assert self._process.poll() is None, self.words()
                assert time.monotonic() < deadline, self.words()
                time.sleep(QUIET)  # asked again until the deadline: a process has no event for us

    def _next(self, wanted: Any, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while (found := next((told for told in self.events if wanted(told)), None)) is None:
            assert time.monotonic() < deadline, f"{what} did not come; {self.events} did\n{self.words()}"
            self._read()
        self.events.remove(found)
        return found

    def _read(self) -> None:
        try:
            self._buffer += self._control.recv(65535)
        except TimeoutError:
            return
        while b":" in self._buffer:  # netstrings
            length, _, rest = self._buffer.partition(b":")
            if len(rest) <= int(length):
                return
            self.events.append(json.loads(rest[: int(length)]))
            self._buffer = rest[int(length) + 1 :]


def loudness(pcm: bytes, hertz: float) -> float:
    """How much of a recording is this pitch, at most 1."""
    samples = array("h", pcm)
    turn = 2 * math.pi * hertz / 8000
    whole = math.sqrt(sum(sample * sample for sample in samples) * len(samples) / 2)
    cosine = sum(sample * math.cos(turn * place) for place, sample in enumerate(samples))
    sine = sum(sample * math.sin(turn * place) for place, sample in enumerate(samples))
    return math.hypot(cosine, sine) / whole if whole else 0.0


def write(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(pcm)
