"""How carriers are, as one process sees it: kept by the desk that texts come to, and by the senders."""

from __future__ import annotations

from edge.sessions.texts.carrier_states import CarrierState, CarrierStates
from edge.sms.carrier import Busy, Carrier
from edge.sms.text import OutgoingText, Receipt
from tests.sessions.ground import Ground, until
from tests.sessions.queues.test_leases import Time
from tests.sessions.texts.test_one_sender import Edge, text
from tests.sessions.texts.test_outbox import Life


class Bird(Carrier):
    async def send(self, text: OutgoingText) -> Receipt:
        raise AssertionError("it is only looked at")


Bird.kind = "bird"  # behind its class: no plug-in


def states(life: Life | Edge) -> CarrierState:
    return CarrierStates({"pigeon": Bird("pigeon")}, dict, {}, life.outbox.sending)()["pigeon"]


async def test_it_says_when_a_text_went_and_whether_sending_pauses(ground: Ground) -> None:
    async with Life(ground) as life:
        assert states(life) == CarrierState("bird", None, "here", False, None, None)
        life.loft.answers = [None, Busy("away", after=5)]
        await life.outbox.put(text())
        await life.settle(lambda: bool(life.loft.took))
        sent = life.clock.now
        assert states(life).last_sent == sent
        life.clock.move(3)
        await life.outbox.put(text())
        await until(lambda: states(life).paused)
        assert states(life).last_sent == sent
        await life.pass_time(6)
        await until(lambda: len(life.loft.took) == 2)
        assert not states(life).paused


async def test_a_carrier_of_one_sender_is_given_texts_by_one_process(ground: Ground) -> None:
    time = Time(ground)
    one = await Edge(ground, time, "one").start()
    two = await Edge(ground, time, "two").start()
    assert (states(one).sending, states(two).sending) == ("here", "elsewhere")
    await one.close()
    await two.close()
