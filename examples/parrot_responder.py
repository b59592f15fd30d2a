"""A brain of your own. Run it with: PYTHONPATH=examples ./antiphon up --responder parrot_responder:Parrot"""

from orchestrator.ports import Done, Text


class Parrot:
    name = "parrot"

    async def reply(self, history, context):
        said = history[-1].text if history else "Hello"
        yield Text(f"{said}! {said}! Polly wants a cracker.")
        yield Done()

    async def warm(self): ...

    async def close(self): ...
