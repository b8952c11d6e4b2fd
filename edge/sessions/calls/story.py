"""The story of a call, told from the facts in its record: each step of its way in order, in words and with its facts.

The same facts tell of a call that was, of one that is up, and of one that somebody only asks about: `explain` fills in
a record for that one by the functions that calls go through. So each step says what is, in few words without a tense.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from edge.store.metadata import NIL

FIELDS: Final = {  # that numbers are read from, as people call them
    "request-uri": "the Request-URI",
    "from": "From",
    "to": "To",
    "p-called-party-id": "P-Called-Party-ID",
    "p-asserted-identity": "P-Asserted-Identity",
    "remote-party-id": "Remote-Party-ID",
    "diversion": "Diversion",
    "history-info": "History-Info",
}
UNREADABLE: Final = ("NumberIncomplete", "SchemeUnsupported")
NOT_FOUND: Final = ("NumberUnknown", "NumberReleased")
ENDED_BY: Final = {"local": "us", "remote": "the other side"}


class Step(NamedTuple):
    """One step of the way. `facts` are values of the record that it speaks of."""

    step: str
    said: str
    facts: dict[str, Any]


def story(call: Mapping[str, Any], *, over: bool = True) -> list[Step]:
    """The steps of a call in its public form (`record.public`). `over`: it went its whole way, so what happened at the
    end is told too."""
    steps = [*(_outgoing(call) if call["direction"] == "outgoing" else _incoming(call))]
    if over:
        steps += _ending(call)
    return steps


def would_answer(call: Mapping[str, Any]) -> Step:
    """How a call that is only asked about would be answered, where no flow does it."""
    edge = call["edge"]
    what = f"{edge['sip_code']} would be sent" if edge["sip_code"] else "nothing would be sent"
    facts = {name: edge[name] for name in ("sip_code", "reason", "error")}
    return Step("answer", f"{what}: {edge['reason']}, {edge['error']}", facts)


def _incoming(call: Mapping[str, Any]) -> Iterator[Step]:
    edge = call["edge"]
    yield _source(edge)
    if edge["trunk"]:
        yield Step("authentication", _proof(edge["auth"]), {"auth": edge["auth"]})
    yield _caller(call)
    yield Step(
        "dialed",
        f"{edge['dialed'] or 'nothing'} was dialed, read from {_field(edge['dialed_from'])}",
        {"dialed": edge["dialed"], "dialed_from": edge["dialed_from"]},
    )
    if edge["dialed_rewritten"]:
        said = f"a rule of the trunk makes {edge['dialed_rewritten']} of it"
        yield Step("rewriting", said, {"dialed_rewritten": edge["dialed_rewritten"]})
    number = call["destination"]["target"]
    read = number != edge["dialed"] or number.startswith("+")
    if read:
        yield Step("number", f"that is {number}", {"number": number})
    elif edge["reason"] in UNREADABLE:
        yield Step("number", f"that is no number: {edge['error']}", {"reason": edge["reason"]})
    if edge["lookup_source"]:
        yield _look_up(call, number)
    yield from _flow(call)


def _source(edge: Mapping[str, Any]) -> Step:
    facts = {name: edge[name] for name in ("remote", "transport", "local", "proxy", "trunk", "trunk_id")}
    if edge["transport"] == "loop":
        return Step("source", "from within the edge: a flow of ours calls a number of ours", facts)
    by = f" over {edge['transport']}" if edge["transport"] else ""
    to = f" to {edge['local']}" if edge["local"] else ""
    behind = f", behind our proxy {edge['proxy']}" if edge["proxy"] else ""
    whose = f": trunk {edge['trunk']}" if edge["trunk"] else ": of no trunk"
    return Step("source", f"from {edge['remote'] or 'somewhere'}{by}{to}{behind}{whose}", facts)


def _proof(auth: str) -> str:
    how, _, who = auth.partition(":")
    if how == "digest":
        return f"proved by digest to be {who}"
    return f"proved by its certificate to be {who}" if how == "tls" else "known by its address; nothing else is asked"


def _caller(call: Mapping[str, Any]) -> Step:
    edge, source = call["edge"], call["source"]
    name = f" ({source['target_name']})" if source["target_name"] else ""
    parts = [f"{source['target'] or 'nobody'}{name} calls, read from {_field(edge['source_from'])}"]
    if edge["source_raw"]:
        parts.append(f"where {edge['source_raw']} stands")
    if edge["diversion"]:
        parts.append(f"diverted from {edge['diversion']}")
    if edge["privacy"]:
        parts.append(f"who wants to stay private ({edge['privacy']})")
    if edge["verstat"]:
        vouched = f", attestation {edge['attestation']}" if edge["attestation"] else ""
        vouched += f" ({edge['verstat_why']})" if edge["verstat_why"] else ""
        parts.append(f"signature: {edge['verstat']}{vouched}")
    named = (
        "source_from",
        "source_raw",
        "diversion",
        "privacy",
        "verstat",
        "verstat_why",
        "attestation",
        "origination_id",
    )
    return Step("caller", ", ".join(parts), {"source": source["target"], **{name: edge[name] for name in named}})


def _look_up(call: Mapping[str, Any], number: str) -> Step:
    edge = call["edge"]
    facts = {"lookup_source": edge["lookup_source"], "number_id": edge["number_id"], "customer_id": call["customer_id"]}
    where = "out of an old copy, for the stores are away" if edge["lookup_source"] == "stale" else edge["lookup_source"]
    if edge["number_id"] != NIL:
        said = f"{number} is a number of account {call['customer_id']} (answered by {where})"
    elif edge["reason"] in NOT_FOUND:
        said = f"{edge['error']} (answered by {where})"
    else:
        said = f"looked up: answered by {where}"
    return Step("number found" if edge["number_id"] != NIL else "look-up", said, facts)


def _flow(call: Mapping[str, Any]) -> Iterator[Step]:
    edge = call["edge"]
    if call["flow_id"] != NIL:
        version = f", version {edge['flow_version']}" if edge["flow_version"] else ""
        facts = {"flow_id": call["flow_id"], "flow_version": edge["flow_version"]}
        yield Step("flow", f"its flow is {call['flow_id']}{version}", facts)
    for one in edge["steps"]:
        note = f": {one['note']}" if one.get("note") else ""
        yield Step("step", f"{one['type']} (id {one['step']}) {one['outcome']}{note}", dict(one))
    if edge["cut_by"]:
        yield Step("limit", f"the flow met the limit of {edge['cut_by']}", {"cut_by": edge["cut_by"]})


def _outgoing(call: Mapping[str, Any]) -> Iterator[Step]:
    edge = call["edge"]
    master = call["master_call_id"]
    why = f"for call {master}" if master != NIL else "by a flow or the API"
    yield Step(
        "origin",
        f"made {why}, of account {call['customer_id']}",
        {"master_call_id": master, "customer_id": call["customer_id"]},
    )
    yield Step("caller", f"{call['source']['target'] or 'nobody'} calls", {"source": call["source"]["target"]})
    by = f"trunk {edge['trunk']}" if edge["trunk"] else "no trunk"
    where = f" at {edge['remote']}" if edge["remote"] else ", within the edge"
    over = f" over {edge['transport']}" if edge["transport"] not in ("", "loop") else ""
    yield Step(
        "way",
        f"to {call['destination']['target']} as {edge['dialed']} by {by}{where}{over}",
        {name: edge[name] for name in ("dialed", "trunk", "trunk_id", "remote", "transport", "local")},
    )
    yield from _flow(call)


def _ending(call: Mapping[str, Any]) -> Iterator[Step]:
    edge = call["edge"]
    ours = call["direction"] == "incoming"
    for when, what in (("tm_ringing", "ringing"), ("tm_progressing", "answered")):
        if call[when] is not None:
            yield Step(what, f"{what} after {_seconds(call, when)}", {when: call[when]})
    if edge["codec"]:
        named = ("codec", "security", "rtp_sent", "rtp_received", "rtp_lost", "jitter_ms")
        secret = f" with {edge['security']}" if edge["security"] else ""
        said = (
            f"{edge['codec']}{secret}: {edge['rtp_sent']} packets sent, {edge['rtp_received']} received,"
            f" {edge['rtp_lost']} lost, jitter {edge['jitter_ms']:g} ms"
        )
        yield Step("media", said, {name: edge[name] for name in named})
    if edge["sip_code"]:
        way = (
            "sent" if ours and edge["reason"] != "Cancelled" else "came" if not ours else "sent, for the caller gave up"
        )
        reason = f": {edge['reason']}" if edge["reason"] and edge["reason"] != "Cancelled" else ""
        error = f", {edge['error']}" if edge["error"] else ""
        yield Step(
            "answer",
            f"{edge['sip_code']} was {way}{reason}{error}"
            if way != "came"
            else f"{edge['sip_code']} {way}{reason}{error}",
            {name: edge[name] for name in ("sip_code", "reason", "error", "outcome")},
        )
    if call["tm_hangup"] is not None:
        by = ENDED_BY.get(call["hangup_by"], "nobody")
        said = f"over after {_seconds(call, 'tm_hangup')}, ended by {by} ({call['hangup_reason'] or 'no reason'})"
        cause = f", Q.850 cause {edge['hangup_cause']}" if edge["hangup_cause"] else ""
        facts = {name: call[name] for name in ("tm_hangup", "hangup_by", "hangup_reason")}
        facts |= {name: edge[name] for name in ("hangup_cause", "outcome")}
        yield Step("end", f"{said}{cause}: {edge['outcome']}", facts)


def _field(name: str) -> str:
    return FIELDS.get(name, name or "its header")


def _seconds(call: Mapping[str, Any], until: str) -> str:
    passed = datetime.fromisoformat(call[until]) - datetime.fromisoformat(call["tm_create"])
    return f"{max(passed.total_seconds(), 0):.3f} s"
