"""Texts: in by a carrier, kept before they are acknowledged, and out by a carrier until it takes them.

in        `sip_door.py`, `carrier_desk.py` or a webhook brings one, `parts.py` joins long ones, `recent.py` finds what
          was kept just before
          `desk.py` looks its number up, `inbox.py` keeps it (`incoming.py` is the row) and has its flow run,
          `opting.py` answers keywords (`opt_outs.py`), `parking.py` has the flows that wait for it
flow      `session.py` is what the flow runs on, `variables.py` what it reads, `manners.py` whom it may not text
out       `outbox.py` sends by the carriers of its route (`routes.py`), `sip_messages.py` by SIP
          `serving.py` holds the connections of carriers that want one client, `carrier_states.py` says how all are
after     `reports.py` hears what became of it, by the id of its carrier (`carrier_ids.py`); `matching.py` says which
          text is meant, `early_reports.py` keeps what comes before its text
          `carrier_opt_outs.py` learns of opt-outs from refusals, `dead_letters.py` begins failed ones anew
API       `message.py` shows them, `posting.py` takes orders
SQL       `tables.py`; the texts themselves are in `messages` (`sessions/tables.py`)
told      `news.py` says what changed, `events.py` and `opt_out_events.py` make events of it
"""
