"""Numbers: what a caller dials and what it belongs to.

- *Number*: one E.164 number of a customer, with the flows bound to it. At most one of them lives at a time; those that
  were released before stay as rows.
- *Dialed*: what a carrier wrote into the request; `e164.read_dialed` makes an E.164 number of it.
- *Directory*: from an E.164 number to the `Number`, through the tiers of the cache.
- *Provider*: where numbers come from; its *available numbers* can be searched and ordered.
"""
