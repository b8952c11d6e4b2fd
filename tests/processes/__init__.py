"""Tests of the whole process: `edge serve` as it is started, told, starved of its stores, and killed.

Unlike the other folders this one mirrors no package: `tests/` follows the tree of `edge/`, `tests/calls/` and this one
follow what an operator sees. A module is named after what happens to the process.
"""
