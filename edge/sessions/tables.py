"""The tables that more than one package looks into: calls, messages, conversations, deliveries, events, and others.

A message is one row for its whole life. What an incoming one still has to do is in `flow_state`, what became of an
outgoing one in its row of the outbox (`texts/tables.py`), which has the same id: the outbox says whether a message was
sent, `messages` never does, so the two cannot disagree.

`claimed_by` and `claimed_until` say which process is at work on a row; after that time any may take it
(`queues/claims.py`). Where a carrier has one sender, its lease goes before the claims on its texts
(`queues/leases.py`).
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from edge.store.metadata import NIL, Instant, Json, Uuid, metadata

REFUSED: Final = "reason <> ''"
FAILED: Final = "sip_code >= 400"
MADE_FOR_ANOTHER: Final = f"master_call_id <> '{NIL}'"
DEAD: Final = "direction = 'inbound' AND (flow_state = 'failed' OR outcome = 'failed' OR outcome = 'cut')"

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("number_id", Uuid, nullable=False),
    sa.Column("number", sa.Text, nullable=False),  # ours, E.164; "" where none was found
    sa.Column("flow_id", Uuid, nullable=False),
    sa.Column("flow_version", sa.Integer, nullable=False),
    sa.Column("call_id", sa.Text, nullable=False),  # of SIP
    sa.Column("trunk", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("source_name", sa.Text, nullable=False),
    sa.Column("dialed", sa.Text, nullable=False),  # as it came
    sa.Column("destination", sa.Text, nullable=False),  # E.164
    sa.Column("direction", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("hangup_by", sa.String(16), nullable=False),
    sa.Column("hangup_reason", sa.Text, nullable=False),
    sa.Column("sip_code", sa.Integer, nullable=False),
    sa.Column("lookup_source", sa.String(16), nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("flow_outcome", sa.String(16), nullable=False),  # of its own flow, not of a fallback; "" when none ran
    sa.Column("cut_by", sa.String(16), nullable=False),
    sa.Column("steps", Json, nullable=False),
    sa.Column("codec", sa.String(16), nullable=False),
    sa.Column("rtp_sent", sa.BigInteger, nullable=False),
    sa.Column("rtp_received", sa.BigInteger, nullable=False),
    sa.Column("rtp_lost", sa.BigInteger, nullable=False),
    sa.Column("jitter_ms", sa.Double, nullable=False),
    sa.Column("remote", sa.Text, nullable=False),  # where the INVITE came from, or went
    sa.Column("master_call_id", Uuid, nullable=False, server_default=NIL),  # that an outgoing one was made for
    sa.Column("trunk_id", Uuid, nullable=False, server_default=NIL),  # NIL: none
    sa.Column("transport", sa.String(8), nullable=False, server_default=""),
    sa.Column("local", sa.Text, nullable=False, server_default=""),  # our address and port
    sa.Column("proxy", sa.Text, nullable=False, server_default=""),  # that it came through, one we trust
    sa.Column("auth", sa.Text, nullable=False, server_default=""),
    sa.Column("dialed_from", sa.String(32), nullable=False, server_default=""),
    sa.Column("dialed_rewritten", sa.Text, nullable=False, server_default=""),
    sa.Column("source_from", sa.String(32), nullable=False, server_default=""),
    sa.Column("source_raw", sa.Text, nullable=False, server_default=""),
    sa.Column("diversion", sa.Text, nullable=False, server_default=""),
    sa.Column("privacy", sa.Text, nullable=False, server_default=""),
    sa.Column("verstat", sa.String(64), nullable=False, server_default=""),
    sa.Column("verstat_why", sa.Text, nullable=False, server_default=""),
    sa.Column("attestation", sa.String(8), nullable=False, server_default=""),  # A B C
    sa.Column("origination_id", sa.Text, nullable=False, server_default=""),
    sa.Column("reason", sa.String(64), nullable=False, server_default=""),  # what refused it
    sa.Column("nearest", sa.Text, nullable=False, server_default=""),  # the nearest miss, in words
    sa.Column("security", sa.String(64), nullable=False, server_default=""),
    sa.Column("hangup_cause", sa.Integer, nullable=False, server_default="0"),  # of Q.850; 0: not said
    sa.Column("tm_ringing", Instant),
    sa.Column("tm_progressing", Instant),
    sa.Column("tm_hangup", Instant),
    sa.Column("tm_create", Instant, nullable=False),
    sa.Index("ix_calls_customer_id_tm_create", "customer_id", "tm_create"),
    sa.Index("ix_calls_number_tm_create", "number", "tm_create"),
    sa.Index("ix_calls_tm_create", "tm_create"),
    sa.Index("ix_calls_call_id", "call_id", postgresql_using="hash"),  # a Call-ID may be longer than a B-tree takes
    sa.Index("ix_calls_source_tm_create", "source", "tm_create"),
    sa.Index(
        "ix_calls_reason_tm_create",
        "reason",
        "tm_create",
        sqlite_where=sa.text(REFUSED),
        postgresql_where=sa.text(REFUSED),
    ),
    sa.Index(
        "ix_calls_sip_code_tm_create",
        "sip_code",
        "tm_create",
        sqlite_where=sa.text(FAILED),
        postgresql_where=sa.text(FAILED),
    ),
    sa.Index(
        "ix_calls_master_call_id",
        "master_call_id",
        sqlite_where=sa.text(MADE_FOR_ANOTHER),
        postgresql_where=sa.text(MADE_FOR_ANOTHER),
    ),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("customer_id", Uuid, nullable=False),  # NIL for a text to a number that is nobody's
    sa.Column("number_id", Uuid, nullable=False),
    sa.Column("direction", sa.String(8), nullable=False),  # inbound outbound
    sa.Column("carrier", sa.String(32), nullable=False),
    sa.Column("carrier_id", sa.Text, nullable=False),  # of an inbound text; with the carrier its identity
    sa.Column("number", sa.Text, nullable=False),  # ours: who was texted, or who texts
    sa.Column("peer", sa.Text, nullable=False),  # theirs
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("media", Json, nullable=False, server_default="[]"),  # URLs of what came beside the words
    sa.Column("route", sa.Text, nullable=False),  # how the carrier gets an answer back
    sa.Column("refusal", sa.String(32), nullable=False),  # the error that the carrier was told; "" when received
    sa.Column("conversation_id", Uuid, nullable=False),
    sa.Column("reference_id", Uuid, nullable=False),  # the call or text whose flow sent this one
    sa.Column("lookup_source", sa.String(16), nullable=False),
    sa.Column("flow_id", Uuid, nullable=False),
    sa.Column("flow_version", sa.Integer, nullable=False),
    sa.Column("flow_state", sa.String(8), nullable=False),  # none pending done failed
    sa.Column("attempts", sa.Integer, nullable=False),  # runs begun
    sa.Column("claimed_by", sa.Text, nullable=False),
    sa.Column("claimed_until", Instant, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),  # of the run of its own flow, not of a fallback
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("cut_by", sa.String(16), nullable=False),
    sa.Column("steps", Json, nullable=False),
    sa.Column("parts", sa.Integer, nullable=False, server_default="1"),  # that an inbound text came in
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_update", Instant),
    sa.Column("tm_delete", Instant),  # from then on nobody is shown it
    sa.Column("history", Json, nullable=False, server_default="[]"),  # what became of it before it was run again
    sa.Index(
        "uq_messages_carrier_carrier_id",
        "carrier",
        "carrier_id",
        unique=True,
        sqlite_where=sa.text("direction = 'inbound'"),
        postgresql_where=sa.text("direction = 'inbound'"),
    ),
    sa.Index(
        "ix_messages_pending",
        "tm_create",
        "id",
        sqlite_where=sa.text("flow_state = 'pending'"),
        postgresql_where=sa.text("flow_state = 'pending'"),
    ),
    sa.Index("ix_messages_customer_id_tm_create", "customer_id", "tm_create"),
    sa.Index("ix_messages_number_tm_create", "number", "tm_create"),
    sa.Index("ix_messages_tm_create", "tm_create"),
    sa.Index("ix_messages_conversation_id_tm_create", "conversation_id", "tm_create"),
    sa.Index("ix_messages_carrier_tm_create", "carrier", "tm_create"),
    sa.Index(
        "ix_messages_refused",
        "tm_create",
        "id",
        sqlite_where=sa.text("refusal <> ''"),
        postgresql_where=sa.text("refusal <> ''"),
    ),
    sa.Index(
        "ix_messages_dead",  # incoming ones whose flow did not come to its end
        "tm_create",
        "id",
        sqlite_where=sa.text(DEAD),
        postgresql_where=sa.text(DEAD),
    ),
)

conversations = sa.Table(  # written with their messages, so with no more columns and indexes than it takes
    "conversations",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("peer", sa.Text, nullable=False),
    sa.Column("message_id", Uuid, nullable=False),  # the newest
    sa.Column("inbound_id", Uuid, nullable=False),  # the newest that came in
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_update", Instant, nullable=False),  # when the newest came or went
    sa.Index("ix_conversations_customer_id_tm_update", "customer_id", "tm_update"),
    sa.Index("ix_conversations_peer", "peer"),
)

leases = sa.Table(  # what only one process may do, see `queues/leases.py`
    "leases",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),  # in microseconds by the clock of the database; 0: nobody's
)

memories = sa.Table(  # what flows remember of a person, see `memory.py`
    "memories",
    metadata,
    sa.Column("number_id", Uuid, primary_key=True),
    sa.Column("peer", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("tm_expire", Instant, nullable=False),
    sa.Index("ix_memories_tm_expire", "tm_expire"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", Uuid, primary_key=True),  # the event's: the same in every try
    sa.Column("kind", sa.String(16), nullable=False),  # webhook email
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("reference_id", Uuid, nullable=False),  # the call or text whose flow sent it
    sa.Column("resource", sa.Text, nullable=False),  # what it is about: of one resource and host, one after another
    sa.Column("host", sa.Text, nullable=False),  # who is to get it: scheme, host and port; "" for the mail server
    sa.Column("target", sa.Text, nullable=False),  # as people are shown it: a URL without secrets, an address
    sa.Column("payload", Json, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),  # queued sent failed
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("claimed_by", sa.Text, nullable=False),
    sa.Column("claimed_until", Instant, nullable=False),
    sa.Column("receipt", sa.Text, nullable=False),  # what the other side said when it took it
    sa.Column("code", sa.Text, nullable=False),  # the status of the last answer that was none
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_update", Instant),
    sa.Index(
        "ix_deliveries_queued",
        "tm_create",
        "id",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index("ix_deliveries_customer_id_tm_create", "customer_id", "tm_create"),
    sa.Index("ix_deliveries_tm_create", "tm_create"),
)

events = sa.Table(  # what accounts' servers are told, see `events/streams.py`
    "events",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),  # the order of one resource
    sa.Column("id", Uuid, nullable=False, unique=True),
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("resource_id", Uuid, nullable=False),  # what it is about
    sa.Column("body", sa.Text, nullable=False),  # as it is sent, in every try and every replay
    sa.Column("state", sa.String(8), nullable=False),  # queued sent failed
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("claimed_by", sa.Text, nullable=False),
    sa.Column("claimed_until", Instant, nullable=False),
    sa.Column("code", sa.Text, nullable=False),  # the status of the last answer
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("tm_create", Instant, nullable=False),
    sa.Column("tm_queued", Instant, nullable=False),  # when it happened, or was told to be sent again
    sa.Column("tm_update", Instant),
    sa.Index(
        "ix_events_queued",
        "customer_id",
        "due",
        "seq",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index(
        "ix_events_tm_queued",
        "tm_queued",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index("ix_events_resource_id", "resource_id", "seq"),
    sa.Index("ix_events_customer_id_tm_create", "customer_id", "tm_create"),
    sa.Index("ix_events_tm_create", "tm_create"),
)
