"""Following a job of any adapter to its end, as a worker does."""

import asyncio
import json

from gesso.providers.base import Done, Failed, Operation, Pending, Provider


async def finished(adapter: Provider, operation: Operation) -> Done | Failed:
    """Poll, taking the operation through JSON each time as a stored one is."""
    async with asyncio.timeout(60):
        while True:
            outcome = await adapter.poll(Operation(operation.id, json.loads(json.dumps(operation.data))))
            if not isinstance(outcome, Pending):
                return outcome
            await asyncio.sleep(0.02)
