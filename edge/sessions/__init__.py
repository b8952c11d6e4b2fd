"""Sessions: what one call or one text does here, from the wire to its flow and to its record.

calls   `router.py` takes what the SIP agent tells, `route.py` finds number, account and flow, `call.py` is what the
        flow runs on, `record.py` what is kept of it
        `connecting.py` joins a call with others: `ways.py` knows where they are, `leg.py` rings them, `bridge.py`
        relays; `placing.py` makes calls of their own; `book.py` has them all
texts   `sip_door.py` or a webhook brings them, `texts.py` looks the number up, `inbox.py` keeps them before they
        are acknowledged and has their flow run, `texting.py` sends by way of `outbox.py`
        `carrier_desk.py` is where carriers with connections of their own bring them, as long as `serving.py` and
        `leases.py` say so; `parts.py` joins long ones, `reports.py` hears what became of those that were sent,
        `opting.py` and `manners.py` keep to who wants none
events  `journal.py`, `message_events.py` and their like write down what happened, `events.py` tells accounts of it
both    `outside.py` asks and tells the world: URLs, other flows, and by way of `deliveries.py` webhooks (`webhook.py`)
        and emails (`mail.py`)
"""
