"""Sound for tests of recordings: packets that can be told apart, and the two sides of what was recorded."""

from __future__ import annotations

from array import array

SAMPLES = 160  # of a packet of 20 ms
STEP = SAMPLES / 8000


def packet(number: int, samples: int = SAMPLES) -> bytes:
    """The samples that packet `number` has: no two packets are alike, none is silence."""
    return array("h", [1000 + number] * samples).tobytes()


def sides(frames: bytes) -> tuple[list[int], list[int]]:
    """Left and right."""
    samples = array("h", frames)
    return list(samples[0::2]), list(samples[1::2])


def runs(samples: list[int]) -> list[tuple[int, int, int]]:
    """What is not silence: the place where each run of one value begins, the value, and how long it is."""
    found: list[tuple[int, int, int]] = []
    for place, value in enumerate(samples):
        if value and found and found[-1][1] == value and found[-1][0] + found[-1][2] == place:
            found[-1] = (found[-1][0], value, found[-1][2] + 1)
        elif value:
            found.append((place, value, 1))
    return found
