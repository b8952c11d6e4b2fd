"""What the operations work with, all of it made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.accounts.customer import CustomerDirectory, CustomerTable
from edge.accounts.key import KeyTable
from edge.accounts.webhook_secret import WebhookSecretTable
from edge.api.section import ApiSection
from edge.api.webhooks import Keep, Tell
from edge.errors import Fault
from edge.flows.calendar import Calendar
from edge.flows.caller_list import Callers
from edge.flows.resource import Resources as FlowResources
from edge.flows.resource import ResourceTable
from edge.flows.table import FlowTable
from edge.http import Guard
from edge.numbers.provider import Provider
from edge.numbers.table import NumberTable
from edge.recordings.keeper import Keeper
from edge.recordings.table import RecordingTable
from edge.sessions.calls.book import CallBook
from edge.sessions.calls.placing import Placing
from edge.sessions.calls.record import CallTable
from edge.sessions.conversation import ConversationTable
from edge.sessions.deliveries.delivery import DeliveryTable
from edge.sessions.entrance import Entrance
from edge.sessions.events.journal import Journal
from edge.sessions.events.table import EventTable
from edge.sessions.events.telling import Telling
from edge.sessions.route import Routes
from edge.sessions.step_counts import StepCounts
from edge.sessions.texts.carrier_states import CarrierState
from edge.sessions.texts.dead_letters import DeadLetters
from edge.sessions.texts.manners import MannersSection
from edge.sessions.texts.message import MessageTable
from edge.sessions.texts.opt_outs import OptOuts
from edge.sessions.texts.posting import Posting
from edge.sessions.texts.session import TextSending
from edge.sessions.trunks.probes import Probes
from edge.sessions.trunks.registrations import Registrations
from edge.sip.capture import Capture
from edge.sip.strangers import Strangers
from edge.sms.carrier import Carrier
from edge.sms.keywords import Keywords
from edge.trunks.roll import TrunkRoll
from edge.trunks.stored import StoredTrunks
from edge.trunks.table import TrunkTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`prompts` are the folders of audio files. `readiness` gives the reasons against traffic, none when ready,
    `carrier_states` how each carrier is; `draining` is true from SIGTERM on."""

    section: ApiSection
    version: str
    customers: CustomerTable
    accounts: CustomerDirectory
    keys: KeyTable
    secrets: WebhookSecretTable
    http: Guard
    numbers: NumberTable
    providers: Sequence[Provider]
    flows: FlowTable
    calendars: ResourceTable[Calendar]
    caller_lists: ResourceTable[Callers]
    resources: FlowResources
    prompts: Sequence[Path]
    step_counts: StepCounts
    calls: CallTable
    book: CallBook
    placing: Placing
    capture: Capture | None
    strangers: Strangers
    messages: MessageTable
    posting: Posting
    dead_letters: DeadLetters
    conversations: ConversationTable
    opt_outs: OptOuts
    keywords: Keywords
    manners: MannersSection
    sending: TextSending
    recordings: RecordingTable
    keeper: Keeper
    deliveries: DeliveryTable
    events: EventTable
    journal: Journal
    telling: Telling
    trunks: TrunkTable
    entrance: Entrance
    roll: TrunkRoll
    registrations: Registrations
    probes: Probes
    stored_trunks: StoredTrunks
    routes: Routes
    carriers: Sequence[Carrier]
    keep: Keep
    report: Tell
    clock: Callable[[], datetime]
    readiness: Callable[[], Sequence[Fault]]
    carrier_states: Callable[[], Mapping[str, CarrierState]]
    draining: Callable[[], bool]
