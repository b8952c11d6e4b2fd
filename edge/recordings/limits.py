"""Every limit on recordings."""

from __future__ import annotations

TAKES = 1_000  # under way at the same time; with all of them the spool grows by 32 MB a second
ROUND_SECONDS = 0.4  # between two writes of a take: with one write that takes as long, a crash costs less than a second
SYNC_SECONDS = 0.1  # of each round, in which files are brought onto the disk itself
BEHIND_SECONDS = 20.0  # a take whose disk is so far behind is ended, before memory fills up
LONGEST_SECONDS = 12 * 3600  # that can be configured for one take: 1.4 GB, well below what a WAV file can say

WINDOW_SECONDS = 2.0  # a packet that comes later than this is not put to its place any more: its clock begins anew
DRIFT_SECONDS = 0.06  # what the clocks of a side and of the edge may be apart before one is set by the other …
AHEAD_SECONDS = 0.5  # … at a moment of silence when it is ahead, up to this
DRIFT_CHECK_SECONDS = 5.0  # a side is late when its quickest packet of this time is

SILENCE_LEVEL = 256  # root mean square of a packet's samples below which it is silence: -42 dB of full scale

ENCODE_SECONDS = 1_800.0  # for one recording, in its own process
ENCODE_TRIES = 3  # then it stays a WAV
STORED_AT_ONCE = 4  # recordings that are encoded and brought to their storage at the same time
FOLLOWING_AT_ONCE = 16  # flows that run because a recording is done
CHUNK_BYTES = 65_536  # of a file on its way out
