"""Events: what happens to the resources of an account is written down, and its server is told.

    event.py     one of them: its row, and its body as it is sent
    journal.py   writes it, in the commit of the change that it tells of
    queue.py     what waits in SQL, of each resource the oldest
    streams.py   sends what waits: of each resource in order, of each account a few at once
    telling.py   one request, signed as webhooks are
    table.py     the rows as the API has them

Which events there are of calls and texts, and what they say, stands with those (`calls/events.py`, `texts/events.py`).
"""
