"""How a number becomes a customer's: bought at a provider, hosted, or virtual.

    available ──POST──▶ pending ──order──▶ active        the row is there before anything is bought
                          │   ▲
                          ▼   │ POST again
                        failed                           the provider took the order and then could not fulfil it

- *Bought*: a provider has to offer it. The live row, `pending`, reserves it here; the order carries the row's id, so
  asking again never buys twice. Whatever breaks in between, the daemon included, leaves a pending row; the same POST by
  the same customer goes on with it. A number that turns out to be sold frees the row.
- *Hosted*: it is ours or our customer's already, ported in or sent here by a trunk. Nothing is bought; only an admin
  key may say so.
- *Virtual*: +899 and nine digits, known on this platform only. Nothing is bought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from edge.errors import Conflict, NotFound, Unavailable
from edge.log import get_logger
from edge.metrics import counter
from edge.numbers.number import Number, draft
from edge.numbers.provider import Provider, Search
from edge.numbers.table import NumberTable

ORDERS = counter("number_orders_total", "Orders of numbers at providers, by how they stand.", ("provider", "outcome"))
_log = get_logger("numbers")


class Ordering:
    """Makes and ends numbers."""

    def __init__(self, table: NumberTable, providers: Sequence[Provider], clock: Callable[[], datetime]) -> None:
        self._table = table
        self._providers = {provider.name: provider for provider in providers}
        self._clock = clock

    async def create(self, customer_id: str, fields: Mapping[str, Any], *, hosted: bool) -> Number:
        """A number of the customer, `active`, or `pending` while its provider is at work.

        Raises Invalid, Conflict when it is in use or cannot be bought, Unavailable when its provider is away.
        """
        plan = draft(customer_id=customer_id, **fields)
        if hosted or plan.type == "virtual":
            return await self._table.create(plan)
        number = await self._table.by_e164(plan.number)
        if number is not None and number.status in ("pending", "failed") and number.customer_id == customer_id:
            changes = {name: value for name, value in fields.items() if name not in ("number", "type")}
            number = await self._table.update(number.id, customer_id, {**changes, "status": "pending"})
        else:
            if number is not None and number.tm_delete is None:
                raise Conflict(f"{plan.number} is in use already", reason="NUMBER_EXISTS")
            seller = await self._seller(plan.number)
            plan = plan.model_copy(update={"status": "pending", "provider_name": seller.name})
            number = await self._table.create(plan)
        return await self._order(number)

    async def release(self, number: Number) -> Number:
        """Give a number back to its provider, then end it here. Raises Unavailable, and then it stays."""
        if number.provider_name and number.status != "failed":
            await self._provider(number).release(number.number, number.provider_reference_id)
        return await self._table.release(number.id, number.customer_id)

    async def _seller(self, e164: str) -> Provider:
        """The first provider that offers a number. Raises Conflict."""
        for provider in self._providers.values():
            offers = await provider.search(Search(contains=e164.removeprefix("+")))
            if any(offer.number == e164 for offer in offers):
                return provider
        raise Conflict(f"{e164} is not to be had", reason="NUMBER_NOT_AVAILABLE")

    async def _order(self, number: Number) -> Number:
        provider = self._provider(number)
        try:
            order = await provider.order(number.number, number.id)
        except (NotFound, Conflict):
            ORDERS.labels(provider.name, "sold").inc()
            await self._table.release(number.id, number.customer_id)
            raise Conflict(f"{number.number} is not to be had", reason="NUMBER_NOT_AVAILABLE") from None
        except Unavailable:
            ORDERS.labels(provider.name, "unavailable").inc()
            raise
        ORDERS.labels(provider.name, order.status).inc()
        _log.info("number ordered", provider=provider.name, number_id=number.id, status=order.status)
        if order.status == "pending":
            return number
        now = self._clock()
        bought = {
            "provider_reference_id": order.reference,
            "t38_enabled": order.t38_enabled,
            "emergency_enabled": order.emergency_enabled,
            "tm_purchase": now,
            "tm_renew": now,
        }
        changes = {"status": order.status, **(bought if order.status == "active" else {})}
        return await self._table.update(number.id, number.customer_id, changes)

    def _provider(self, number: Number) -> Provider:
        provider = self._providers.get(number.provider_name)
        if provider is None:
            raise Unavailable(f"the provider {number.provider_name} of {number.number} is not configured")
        return provider
