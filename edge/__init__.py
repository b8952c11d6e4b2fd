"""The edge of a voice platform.

Carriers send it calls and texts; it looks the dialed number up and hands the session to the flow bound to that number.

The words used everywhere:

number   a telephone number in E.164, provisioned by a customer and bound to flows
flow     a list of actions, immutable per version
session  one call or one text on its way through a flow
run      one execution of a flow in a session: variables, counters, what was done
trunk    a carrier's SIP side: where it sends from, how it writes numbers
carrier  a way for texts to come in and go out

Packages are floors; imports go down only (docs/architecture.md, tests/test_floors.py).
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edge")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
