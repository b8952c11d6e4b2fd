"""Broken input for everything that reads what strangers send.

targets   a function for each reader: bytes in, nothing out; it raises for what a reader must never do
corpus    what to begin with: messages as they should be, and the collections of others
mutate    one input out of others, the same for the same number

`make test` breaks each target's inputs for a bounded number of times. `make fuzz SECONDS=600 TARGET=sdp` goes on for
longer, led by the coverage of the code (atheris).
"""
