"""Media: what a caller hears and what we hear of the caller. G.711 over RTP, at 8,000 samples a second, one channel.

The words of this package:

- **description**: a session description (SDP) as it was read. An *offer* is answered; what both sides then hold is
  **negotiated**: codec, payload types, packet time, where to send, in which direction.
- **codec**: `PCMU` (µ-law) or `PCMA` (A-law), one byte a sample. **PCM** here always means 16-bit linear samples,
  little-endian, 8 kHz, mono.
- **audio**: a piece of PCM with its two encodings, ready to be played; a **prompt** is audio that was read from a file
  or fetched from a URL; a **tone** is audio that was computed.
- **frame**: the samples of one packet; **packet time** (ptime) is how long they last.
- **event**: a key press as RFC 4733 sends it; a **digit** is the character of such a key.
- **stream**: both directions of one call's audio. Its **sender** makes a packet whenever the clock asks, its
  **receiver** reads what arrives. It is **locked** once we know where the other side's packets really come from.
- **relay**: each of two streams sends what the other receives.
- **tap**: who is told what a stream hears and says; **live** is audio that comes from outside while it is played.
- **group**: the streams that send in the same instant. **Late** is a packet that left noticeably after its time.
- **report**: what RTCP tells the other side about all this.
"""
