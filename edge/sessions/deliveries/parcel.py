"""Emails with attachments, put together and sent by a process of their own.

To encode megabytes and to look for line ends in them takes tenths of a second, in which no call would hear anything. So
the daemon only hands over what there is, piece by piece: on its standard input the process gets a line of JSON and then
the files, on its standard output it says in one more what came of it.

    python -m edge.sessions.deliveries.parcel
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from edge.sessions.deliveries.attachment import Attached
from edge.sessions.deliveries.delivery import Delivery
from edge.sessions.deliveries.letter import File, SmtpSection, compose, post
from edge.sms.carrier import NotNow, Refused, SendError

NICENESS: Final = 10  # calls go first
SECONDS: Final = 300.0  # for all of it


async def send(section: SmtpSection, delivery: Delivery, files: Sequence[Attached]) -> str:
    """Send an email with these files; returns what the server said. Raises SendError; EdgeError as the files do."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SECONDS):
            await _hand_over(process, section, delivery, files)
            said, _ = await process.communicate()
    except (TimeoutError, OSError):
        raise NotNow("the email was not sent in time") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise NotNow(f"the process that sends emails ended with {process.returncode}")
    return _outcome(json.loads(said))


async def _hand_over(
    process: asyncio.subprocess.Process, section: SmtpSection, delivery: Delivery, files: Sequence[Attached]
) -> None:
    assert process.stdin is not None
    told = {
        "smtp": section.model_dump(mode="json"),
        "delivery": asdict(delivery),
        "files": [(file.filename, file.content_type, file.size) for file in files],
    }
    process.stdin.write(json.dumps(told).encode() + b"\n")
    for file in files:
        left = file.size
        async for piece in file.pieces:
            left -= len(piece)
            process.stdin.write(piece)
            await process.stdin.drain()
        if left:
            raise NotNow(f"{file.filename} has not the size that is known of it")


def _outcome(found: dict[str, Any]) -> str:
    if "said" in found:
        return str(found["said"])
    kind = NotNow if found["retry"] else Refused
    raise kind(found["sentence"], code=found["code"])


def main() -> None:
    os.nice(NICENESS)
    told = json.loads(sys.stdin.buffer.readline())
    section, delivery = SmtpSection.model_validate(told["smtp"]), Delivery(**told["delivery"])
    files = [File(name, kind, sys.stdin.buffer.read(size)) for name, kind, size in told["files"]]
    outcome: dict[str, Any]
    try:
        outcome = {"said": asyncio.run(post(section, delivery.target, compose(delivery, section.sender, files)))}
    except SendError as error:
        outcome = {"retry": error.retry, "sentence": error.sentence, "code": error.code}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
