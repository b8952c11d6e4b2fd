"""`make fuzz`: each target for so long, led by the coverage of the code.

    python -m tests.fuzz [--seconds N] [TARGET …]

What breaks a target is written to build/fuzz/TARGET/ and shown; the exit status is then not 0.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "fuzz"
LONGEST = 8192  # octets of an input


def one(name: str, seconds: int) -> None:
    """Fuzz one target; atheris ends the process."""
    import atheris  # type: ignore[import-untyped]  # it has no types, and `make fuzz` alone installs it

    with atheris.instrument_imports(include=["edge"]):
        from tests.fuzz.corpus import corpus
        from tests.fuzz.targets import TARGETS
    folder = FOLDER / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(corpus(name)):
        (folder / "corpus" / f"given-{number}").write_bytes(data)
    arguments = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-artifact_prefix={folder}/", "-timeout=10"]
    atheris.Setup([sys.argv[0], *arguments, str(folder / "corpus")], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    from tests.fuzz.targets import TARGETS

    options = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    options.add_argument("--seconds", type=int, default=60, help="for each target")
    options.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all, if none is named")
    chosen = options.parse_args()
    status = 0
    for name in chosen.targets or TARGETS:
        print(f"{name}, {chosen.seconds} s", flush=True)
        code = f"from tests.fuzz.__main__ import one; one({name!r}, {chosen.seconds})"
        status |= subprocess.run([sys.executable, "-c", code], check=False).returncode != 0
    return status


if __name__ == "__main__":
    sys.exit(main())
