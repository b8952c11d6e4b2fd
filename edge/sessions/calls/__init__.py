"""Calls: from an INVITE to a flow and to a record, calls of our own making, and two that hear each other.

in        `router.py` takes what the SIP agent tells, `arrival.py` reads what an INVITE says
          `offered.py` is a call until its final answer
flow      `call.py` is what the flow runs on, by `waiting.py` and `keys.py`; `variables.py` is what it reads
          `after_call.py` is what a flow runs on when nobody is on the line any more
out       `leg.py` is a call that we make until its final answer, `ways.py` where it goes, `limits.py` how many may be,
          `guests.py` whom we hear because of it
joined    `connecting.py` rings others for a caller, in the order of `dialing.py`; `bridge.py` relays two
own       `placing.py` makes calls that nobody called for
record    `book.py` has all that ring or are up, `record.py` the row of each, `lines.py` the same for files,
          `unproven.py` what never proved who it was, `events.py` what is told of it
          `lines.py` has records in files, as lines of JSON
told      `story.py` tells a call's way from its record, `foresight.py` what would become of one
media     `recording.py` joins a stream with a tape; `recording_events.py` and `after_recording.py` are what comes of it
          `external_media` forks the audio to a host outside
"""
