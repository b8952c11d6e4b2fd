"""The certificates that everybody's must lead to."""

from __future__ import annotations

from typing import Final

from cryptography.x509 import Certificate, load_pem_x509_certificates

from edge.errors import Fault, Invalid
from edge.stir.section import StirSection

NAMES: Final = ("*.pem", "*.crt")  # in a folder
MOST: Final = 1_000  # anchors; the list of a country has some dozens


def read_anchors(section: StirSection) -> tuple[Certificate, ...]:
    """Raises Invalid, naming each file that holds none."""
    found: dict[bytes, Certificate] = {}
    faults = []
    for place, path in enumerate(section.anchors):
        where = f"stir.anchors[{place}]"
        files = sorted(file for name in NAMES for file in path.glob(name)) if path.is_dir() else [path]
        if not files:
            faults.append(Fault(where, f"{path} holds no file {' or '.join(NAMES)}"))
        for file in files:
            try:
                found |= {one.tbs_certificate_bytes: one for one in load_pem_x509_certificates(file.read_bytes())}
            except OSError as error:
                faults.append(Fault(where, f"{file}: {error.strerror}"))
            except ValueError:
                faults.append(Fault(where, f"{file} holds no certificate (PEM)"))
    if len(found) > MOST:
        faults.append(Fault("stir.anchors", f"{len(found)} certificates, more than {MOST}"))
    if faults:
        raise Invalid("no trust anchors", faults=faults)
    return tuple(found.values())
