"""Sessions: what one call or one text does here, from the wire to its flow and to its record.

calls   `router.py` takes what the SIP agent tells, `route.py` finds number, account and flow, `call.py` is what the
        flow runs on, `record.py` what is kept of it
        `connecting.py` joins a call with others: `ways.py` knows where they are, `leg.py` rings them, `bridge.py`
        relays; `placing.py` makes calls of their own; `book.py` has them all
texts   `sip_door.py` or a webhook brings them, `texts.py` looks the number up, `inbox.py` keeps them before they
        are acknowledged and has their flow run, `texting.py` sends by way of `outbox.py`
both    `outside.py` asks and tells the world: URLs, other flows, and by way of `deliveries.py` webhooks (`webhook.py`)
        and emails (`mail.py`)
"""
