"""WAV files into mp3 and ogg, by libsndfile (the package soundfile, which brings it with both encoders).

It is done in a process of its own: the package loads numpy, which the daemon has no use for, and what goes wrong in a
library takes nothing else with it.

    python -m edge.recordings.encoding SOURCE TARGET FORMAT
"""

from __future__ import annotations

import asyncio
import os
import sys
import wave
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge.errors import Invalid, Unavailable
from edge.recordings.limits import ENCODE_SECONDS
from edge.recordings.take import Format

CONTENT_TYPES: Final[dict[Format, str]] = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg"}
NICENESS: Final = 10  # calls go first
BLOCK_FRAMES: Final = 8_000

_SUBTYPES: Final[dict[str, str]] = {"mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}


def lacking(format: Format) -> str:
    """What would have to be installed for a format; "" when nothing is missing."""
    if format == "wav" or find_spec("soundfile") is not None:
        return ""
    return f"{format} needs the package soundfile: pip install 'edge[recording]'"


def require(format: Format) -> None:
    """Raise Invalid for a format that cannot be made here."""
    missing = lacking(format)
    if missing:
        raise Invalid(missing, reason="FORMAT_NOT_AVAILABLE")


async def encode(source: Path, target: Path, format: Format) -> None:
    """Make `target` out of a WAV file. Raises Unavailable when that does not work; there is no target then."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(source), str(target), format),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(ENCODE_SECONDS):
            _, said = await process.communicate()
    except BaseException as error:
        if process.returncode is None:
            process.kill()
            await process.wait()
        target.unlink(missing_ok=True)
        if isinstance(error, TimeoutError):
            raise Unavailable(f"{format} was not made within {ENCODE_SECONDS:g} seconds") from None
        raise
    if process.returncode:
        target.unlink(missing_ok=True)
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise Unavailable(f"{format} cannot be made: {last or process.returncode}")


def main(source: str, target: str, format: str) -> None:
    import soundfile  # here only, see above

    with suppress(OSError):  # where that is not allowed it is only quicker
        os.nice(NICENESS)
    with wave.open(source) as wav:
        form = {"samplerate": wav.getframerate(), "channels": wav.getnchannels()}
        with soundfile.SoundFile(target, "w", format=format.upper(), subtype=_SUBTYPES[format], **form) as file:
            while frames := wav.readframes(BLOCK_FRAMES):
                file.buffer_write(frames, dtype="int16")
    with open(target, "rb") as file:
        os.fsync(file.fileno())


if __name__ == "__main__":
    main(*sys.argv[1:])
