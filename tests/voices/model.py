"""A model for Piper that is small enough to be made here: it has the inputs and the output of a real one, and says 256
samples for each letter, the louder the later in the alphabet.

What it is written in, ONNX, is protobuf (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); the few messages that
are needed are put together by hand.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

LETTER = 256  # samples
FLOAT, INT64 = 1, 7  # kinds of tensors

LETTERS = " .abcdefghijklmnopqrstuvwxyz"


def write_model(folder: Path, name: str = "tiny", **more: Any) -> Path:
    """The model and its description; the path of the former. `more` goes into the latter."""
    path = folder / f"{name}.onnx"
    path.write_bytes(_model())
    described = {
        "audio": {"sample_rate": 16_000},
        "espeak": {"voice": "en-us"},
        "language": {"code": "en_US"},
        "phoneme_type": "text",
        "phoneme_id_map": {"_": [0], "^": [1], "$": [2], **{letter: [3 + n] for n, letter in enumerate(LETTERS)}},
        "num_symbols": 64,
        "num_speakers": 1,
        **more,
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(described))
    return path


def _model() -> bytes:
    nodes = [
        _node("Cast", ["input"], "numbers", _integer_attribute("to", FLOAT)),
        _node("Mul", ["numbers", "step"], "levels"),
        _node("Unsqueeze", ["levels", "axis"], "rows"),
        _node("Unsqueeze", ["rows", "axis"], "planes"),
        _node("Unsqueeze", ["planes", "last"], "columns"),
        _node("Tile", ["columns", "repeats"], "tiles"),
        _node("Reshape", ["tiles", "shape"], "output"),
    ]
    constants = [
        _tensor("step", FLOAT, [], struct.pack("<f", 0.01)),
        _tensor("axis", INT64, [1], struct.pack("<q", 1)),
        _tensor("last", INT64, [1], struct.pack("<q", -1)),
        _tensor("repeats", INT64, [5], struct.pack("<5q", 1, 1, 1, 1, LETTER)),
        _tensor("shape", INT64, [3], struct.pack("<3q", 1, 1, -1)),
    ]
    inputs = [
        _value("input", INT64, [1, "n"]),
        _value("input_lengths", INT64, [1]),
        _value("scales", FLOAT, [3]),
    ]
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, b"tiny"),
            *(_field(5, constant) for constant in constants),
            *(_field(11, one) for one in inputs),
            _field(12, _value("output", FLOAT, [1, 1, "samples"])),
        ]
    )
    return _number(1, 8) + _field(8, _number(2, 13)) + _field(7, graph)


def _node(kind: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    given = b"".join(_field(1, name.encode()) for name in inputs)
    return given + _field(2, output.encode()) + _field(4, kind.encode()) + (_field(5, attribute) if attribute else b"")


def _integer_attribute(name: str, value: int) -> bytes:
    return _field(1, name.encode()) + _number(3, value) + _number(20, 2)


def _tensor(name: str, kind: int, dims: list[int], data: bytes) -> bytes:
    shape = b"".join(_number(1, dim) for dim in dims)
    return shape + _number(2, kind) + _field(8, name.encode()) + _field(9, data)


def _value(name: str, kind: int, dims: list[int | str]) -> bytes:
    shape = b"".join(_field(1, _number(1, dim) if isinstance(dim, int) else _field(2, dim.encode())) for dim in dims)
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, kind) + _field(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
