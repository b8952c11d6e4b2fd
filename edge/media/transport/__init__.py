"""Where media meet the outside world: sockets, the clock, chance and the event loop.

An *engine* opens *streams*. A stream is a *wire*, whose packets go out and come in, and what may be asked of it. The
*clock* gives all wires their time; between two that are relayed to each other packets are *passed on* as they come.
Sockets come in *pairs*, RTP and RTCP, and *ears* call what reads them.
"""
