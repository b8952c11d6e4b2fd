"""The tables of texts beside `messages`: on their way out, in parts, waiting for a report, a flow, or for nothing more.

What a carrier calls the parts that a text was sent in, and says of each, is in `sent_parts`; what it says of something
that is not there, or not yet, in `early_reports` (`reports.py`).
"""

from __future__ import annotations

import sqlalchemy as sa

from edge.store.metadata import NIL, Instant, Json, Uuid, metadata

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", Uuid, primary_key=True),  # of the message
    sa.Column("carrier", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # queued sent delivered failed
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("claimed_by", sa.Text, nullable=False),
    sa.Column("claimed_until", Instant, nullable=False),
    sa.Column("carrier_id", sa.Text, nullable=False),  # what the carrier calls it, once sent
    sa.Column("code", sa.Text, nullable=False),  # the carrier's, of the last error
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_update", Instant),
    sa.Column("customer_id", Uuid, nullable=False, server_default=NIL),
    sa.Column("tm_queued", Instant, nullable=False, server_default="0"),  # tm_create, or when it was sent again
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),  # counts what was changed since it was sent
    sa.Column("history", Json, nullable=False, server_default="[]"),  # what became of it before it was sent again
    sa.Column("passed", sa.Text, nullable=False, server_default=""),  # carriers that passed it on to another, in order
    sa.Column("tm_passed", Instant, nullable=False, server_default="0"),  # when the last one did
    sa.Index(
        "ix_outbox_queued",
        "tm_create",
        "id",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index(
        "ix_outbox_unclaimed",
        "carrier",
        "tm_create",
        "id",
        sqlite_where=sa.text("state = 'queued' AND claimed_until = 0"),
        postgresql_where=sa.text("state = 'queued' AND claimed_until = 0"),
    ),
    sa.Index("ix_outbox_tm_create", "tm_create"),
    sa.Index("ix_outbox_state_tm_create_id", "state", "tm_create", "id"),
    sa.Index("ix_outbox_customer_id_state_tm_create_id", "customer_id", "state", "tm_create", "id"),
)

sent_parts = sa.Table(
    "sent_parts",
    metadata,
    sa.Column("message_id", Uuid, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),  # from 0
    sa.Column("carrier", sa.String(32), nullable=False),  # that took it
    sa.Column("carrier_id", sa.Text, nullable=False),
    sa.Column("folded", sa.Text, nullable=False),  # the same as it is looked for, see `carrier_ids.py`
    sa.Column("state", sa.String(16), nullable=False),  # sent delivered failed
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_update", Instant),  # of the last report
    sa.Index("ix_sent_parts_carrier_folded_tm_create", "carrier", "folded", "tm_create"),
)

early_reports = sa.Table(
    "early_reports",
    metadata,
    sa.Column("id", Uuid, primary_key=True),  # from what it says: the same report again is the same row
    sa.Column("carrier", sa.String(32), nullable=False),
    sa.Column("carrier_id", sa.Text, nullable=False),
    sa.Column("folded", sa.Text, nullable=False),  # as of `sent_parts`
    sa.Column("as_hex", sa.Text, nullable=False),
    sa.Column("as_decimal", sa.Text, nullable=False),
    sa.Column("message_id", Uuid, nullable=False),  # that the carrier gave back, or NIL
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("customer_id", Uuid, nullable=False),  # whose key brought it, or NIL
    sa.Column("tm_create", Instant, nullable=False),
    sa.Index("ix_early_reports_carrier_folded", "carrier", "folded"),
    sa.Index("ix_early_reports_message_id", "message_id"),
    sa.Index("ix_early_reports_tm_create", "tm_create"),
)

text_parts = sa.Table(  # of long texts that come in, see `parts.py`
    "text_parts",
    metadata,
    sa.Column("id", Uuid, primary_key=True),  # from carrier and carrier_id
    sa.Column("carrier", sa.String(32), nullable=False),
    sa.Column("carrier_id", sa.Text, nullable=False),
    sa.Column("pair", sa.String(64), nullable=False),  # the same for all from one to one, by one carrier
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("reference", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("alphabet", sa.String(32), nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),  # open joined done
    sa.Column("joined", sa.Text, nullable=False),  # the carrier_id of the text that it became part of
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_update", Instant),  # when it was joined
    sa.Index(
        "ix_text_parts_pair",
        "pair",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
    sa.Index(
        "ix_text_parts_open",
        "tm_create",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
    sa.Index(
        "ix_text_parts_joined",
        "joined",
        sqlite_where=sa.text("state <> 'open'"),
        postgresql_where=sa.text("state <> 'open'"),
    ),
    sa.Index("ix_text_parts_state_tm_update", "state", "tm_update"),
)

parked_runs = sa.Table(  # flows that wait for the next text of a person, see `parking.py`
    "parked_runs",
    metadata,
    sa.Column("number_id", Uuid, primary_key=True),
    sa.Column("peer", sa.Text, primary_key=True),
    sa.Column("message_id", Uuid, nullable=False),  # the last text that came to it
    sa.Column("state", sa.Text, nullable=False),  # of the run that waits; "" when none does
    sa.Column("performed", sa.Text, nullable=False),  # what became of that text's run
    sa.Column("timer", sa.Text, nullable=False),  # what is put into the inbox when it is due
    sa.Column("due", sa.BigInteger, nullable=False),  # in microseconds; 0 when there is no timer, or it was put there
    sa.Column("tm_update", Instant, nullable=False),
    sa.Index("ix_parked_runs_due", "due", sqlite_where=sa.text("due > 0"), postgresql_where=sa.text("due > 0")),
    sa.Index("ix_parked_runs_tm_update", "tm_update"),
)

opt_outs = sa.Table(  # who wants no more texts from a number of ours, see `opt_outs.py`
    "opt_outs",
    metadata,
    sa.Column("id", Uuid, primary_key=True),  # of the conversation
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("number_id", Uuid, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("peer", sa.Text, nullable=False),
    sa.Column("word", sa.Text, nullable=False),  # that he opted out by; "" by hand
    sa.Column("message_id", Uuid, nullable=False),  # of the text that changed it last; NIL by hand
    sa.Column("begun_by", sa.Text, nullable=False),  # text, or the id of an access key
    sa.Column("ended_by", sa.Text, nullable=False),
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_end", Instant),  # null while it is in force
    sa.Column("tm_update", Instant, nullable=False),
    sa.Index("ix_opt_outs_customer_id_tm_create", "customer_id", "tm_create"),
    sa.Index("ix_opt_outs_tm_update", "tm_update"),
    sa.Index(
        "ix_opt_outs_tm_end",
        "tm_end",
        sqlite_where=sa.text("tm_end IS NOT NULL"),
        postgresql_where=sa.text("tm_end IS NOT NULL"),
    ),
)
