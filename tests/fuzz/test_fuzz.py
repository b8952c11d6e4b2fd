"""Each target holds for so many broken inputs, each within a time."""

from __future__ import annotations

import time

import pytest

from tests.fuzz.corpus import corpus
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS

SECONDS = 0.5  # of CPU for one input; the longest take a few milliseconds
TRIES = 4000
TRIES_OF = {"agent": 1500}  # which takes a whole call each


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_right_is_no_fault(name: str) -> None:
    for data in corpus(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_broken_breaks_it(name: str) -> None:
    inputs, target = corpus(name), TARGETS[name]
    for seed in range(TRIES_OF.get(name, TRIES)):
        data = mutated(seed, inputs)
        begun = time.process_time()
        try:
            target(data)
        except Exception as error:
            raise AssertionError(f"input {seed} of {name}, {data!r}") from error
        assert time.process_time() - begun < SECONDS, f"input {seed} of {name} takes too long: {data!r}"


def test_an_input_is_the_same_each_time() -> None:
    inputs = corpus("message")
    assert [mutated(seed, inputs) for seed in range(50)] == [mutated(seed, inputs) for seed in range(50)]
