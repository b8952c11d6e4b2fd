"""External media: the audio of a call, forked to a host outside and back, for voice agents and whoever else listens.

    fork.py        what all forks have in common: a tap on the stream, a live source for what comes back
    rtp.py         to a host by RTP
    websocket.py   to a server by WebSocket: audio in binary messages, control in JSON
    desk.py        opens them, knows which stream has which, and ends them

A fork lives as long as its stream, or until the flow or the other side ends it. What a slow or dead other side costs is
its own audio: what waits for it is bounded, the oldest goes, and it is counted.
"""
