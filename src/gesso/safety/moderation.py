"""Prompts and outputs before the judge: what it says is weighed, told, written down and counted.

The built-in rules (`policy`) come first and stand by themselves. A prompt is judged before anything is held, an output
before it is stored, both outside any transaction. Without a model in the chain `moderation` nothing is asked, and not
one statement is made.
"""

import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import structlog

from gesso.calls.alone import Who
from gesso.calls.judging import Judged, Judges, NotJudged
from gesso.core.clock import Clock
from gesso.core.errors import Blocked, Unavailable
from gesso.core.settings import SafetySettings
from gesso.core.telemetry import metrics
from gesso.db import Database, WorkspaceSession
from gesso.providers.base import InputFile
from gesso.safety import lines
from gesso.safety.lines import Finding, Stage, Subject
from gesso.safety.policy import Policy
from gesso.safety.scales import weigh, words_of

log = structlog.get_logger()


class Flagged(Blocked):
    """The judge objects to a prompt. Fact `rule` is `moderation`, fact `categories` names what it saw."""

    def __init__(self, finding: Finding) -> None:
        sentence = f"This was judged to be about {words_of(finding.categories)}, which is not made here."
        super().__init__(
            f"{sentence} Nothing was charged.", fields={"prompt": sentence}, rule="moderation",
            categories=list(finding.categories),
        )  # fmt: skip
        self.finding = finding


class NotChecked(Unavailable):
    """No judge answers, and this site makes nothing unjudged. Fact: retry_after, in seconds."""

    code, title = "not_checked", "It cannot be checked at the moment"

    def __init__(self) -> None:
        super().__init__(
            "What is asked for here is checked first, and the check does not answer at the moment. Nothing was made "
            "and nothing was charged. Please try again in a minute.",
            retry_after=60,
        )


class Moderation:
    """One per process; safe to use from many tasks."""

    def __init__(self, db: Database, judges: Judges, settings: SafetySettings, clock: Clock) -> None:
        self._db, self._judges, self._settings, self._clock = db, judges, settings, clock

    @property
    def judges_prompts(self) -> bool:
        """Whether there is a judge at all."""
        return bool(self._judges.links(pictures=False))

    @property
    def judges_pictures(self) -> bool:
        """Whether there is one that can see."""
        return bool(self._judges.links(pictures=True))

    def fails_closed(self, policy: Policy) -> bool:
        """Whether nothing goes on while no judge answers."""
        wanted = self._settings.moderation_fails
        return wanted == "closed" or (wanted == "auto" and policy == "adult")

    async def prompt(self, who: Who, subject: Subject, text: str, policy: Policy) -> Finding | None:
        """Judge what is asked for, in the words the provider would get. None: nothing is to be said about it.

        What comes back is for `keep`, in the transaction of the request. Raises Flagged and NotChecked.
        """
        if not self.judges_prompts:
            return None
        try:
            judged = await self._judges.judge(who, text, within_seconds=self._settings.moderation_seconds)
        except NotJudged as error:
            finding = self._unjudged("prompt", subject, policy, text, error)
            if self.fails_closed(policy):
                await self._write(who, finding)
                raise NotChecked from None
            return finding
        weighed = self._weigh("prompt", subject, policy, text, judged)
        if weighed is not None and weighed.outcome == "blocked":
            raise Flagged(weighed)
        return weighed

    async def picture(
        self,
        who: Who,
        subject: Subject,
        image: InputFile,
        policy: Policy,
        *,
        prompt: str,
        generation_id: UUID,
        asset_id: UUID,
    ) -> str | None:
        """Judge what was made, by a picture of it. What it seems to show when it must not be delivered, in words; None
        when it may be. Raises NotChecked."""
        if not self.judges_pictures:
            return None
        try:
            judged = await self._judges.judge(who, "", (image,))
        except NotJudged as error:
            found: Finding | None = self._unjudged("output", subject, policy, prompt, error)
        else:
            found = self._weigh("output", subject, policy, prompt, judged)
        if found is None:
            return None
        await self._write(who, found, generation_id=generation_id, asset_id=asset_id)
        if found.outcome == "unjudged" and self.fails_closed(policy):
            raise NotChecked
        return words_of(found.categories) if found.outcome == "blocked" else None

    async def keep(
        self, tx: WorkspaceSession, finding: Finding | None, user_id: UUID, generation_id: UUID | None = None
    ) -> None:
        """Write what `prompt` found down with what came of the request; nothing for None."""
        if finding is not None:
            await lines.write(tx, finding, user_id=user_id, generation_id=generation_id, now=self._clock.now())

    @contextlib.asynccontextmanager
    async def blocks_kept(self, who: Who, subject: Subject, prompt: str, policy: Policy) -> AsyncIterator[None]:
        """Write down, log and count what the rules or the judge block inside, and let the error go on."""
        try:
            yield
        except Blocked as error:
            rule = error.facts.get("rule")
            if isinstance(error, Flagged):
                await self._write(who, error.finding)
            elif rule is not None:
                metrics.MODERATION.labels("prompt", "rule").inc()
                log.info("moderation.blocked", stage="prompt", subject=subject, rule=rule)
                await self._write(who, Finding("prompt", subject, "blocked", policy, prompt, rule=str(rule)))
            raise

    # --- what is found ----------------------------------------------------------------------------------

    def _weigh(self, stage: Stage, subject: Subject, policy: Policy, prompt: str, judged: Judged) -> Finding | None:
        weighed = weigh(judged.judgement, policy, self._settings.thresholds)
        metrics.MODERATION.labels(stage, weighed.outcome).inc()
        if weighed.outcome == "pass":
            return None
        log.info(
            f"moderation.{weighed.outcome}", stage=stage, subject=subject, model=judged.model.key,
            categories=dict(weighed.categories),
        )  # fmt: skip
        return Finding(
            stage, subject, weighed.outcome, policy, prompt, categories=weighed.categories, model_key=judged.model.key,
            attempt_id=judged.attempt_id,
        )  # fmt: skip

    def _unjudged(self, stage: Stage, subject: Subject, policy: Policy, prompt: str, error: NotJudged) -> Finding:
        closed = self.fails_closed(policy)
        metrics.MODERATION.labels(stage, "unjudged_closed" if closed else "unjudged_open").inc()
        log.warning("moderation.unjudged", stage=stage, subject=subject, reason=error.reason, let_pass=not closed)
        return Finding(stage, subject, "unjudged", policy, prompt)

    async def _write(
        self, who: Who, finding: Finding, *, generation_id: UUID | None = None, asset_id: UUID | None = None
    ) -> None:
        """In a transaction of its own. What cannot be written down is logged; it changes no verdict."""
        try:
            async with self._db.workspace(who.workspace_id, who.user_id) as tx:
                await lines.write(
                    tx, finding, user_id=who.user_id, generation_id=generation_id, asset_id=asset_id,
                    now=self._clock.now(),
                )  # fmt: skip
        except Exception:
            log.exception("moderation.not_written")
