"""The lines of what was stopped, of what a judge was unsure about, and of what nobody could judge. All SQL of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from gesso.core.ids import new_id
from gesso.db import ElevatedSession, WorkspaceSession
from gesso.safety.policy import Policy

Stage = Literal["prompt", "output"]
Subject = Literal["image", "video", "improve"]
Found = Literal["blocked", "review", "unjudged"]
PROMPT_KEPT = 4000
"""Characters of a prompt that a line keeps."""
_AT_ONCE = 5000

# A worker that begins again judges again: the later verdict holds, unless somebody has decided on the earlier one.
_WRITE = """
INSERT INTO moderation_event AS e (workspace_id, id, user_id, stage, subject, outcome, policy, rule, categories, prompt,
    model_key, attempt_id, generation_id, asset_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (workspace_id, asset_id) DO UPDATE SET outcome = excluded.outcome, categories = excluded.categories,
    model_key = excluded.model_key, attempt_id = excluded.attempt_id, created_at = excluded.created_at
WHERE e.decision IS NULL
"""
# What waits for the operator stays.
_FORGET = """
DELETE FROM moderation_event WHERE (workspace_id, id) IN (
    SELECT workspace_id, id FROM moderation_event
    WHERE created_at < $1 AND (outcome <> 'review' OR decision IS NOT NULL) LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth a line. `rule`: of the built-in ones, else a judge found it, or none answered. `categories`:
    what the judge saw, with its scores. `model_key` and `attempt_id`: which judge, in which call."""

    stage: Stage
    subject: Subject
    outcome: Found
    policy: Policy
    prompt: str
    rule: str | None = None
    categories: Mapping[str, float] = field(default_factory=dict)
    model_key: str | None = None
    attempt_id: UUID | None = None


async def write(
    tx: WorkspaceSession,
    finding: Finding,
    *,
    user_id: UUID | None,
    now: datetime,
    generation_id: UUID | None = None,
    asset_id: UUID | None = None,
) -> None:
    """Add its line; of an output that is judged again, change it."""
    prompt = finding.prompt[:PROMPT_KEPT].replace("\0", "").encode(errors="replace").decode()
    await tx.execute_raw(
        _WRITE, tx.workspace_id, new_id(), user_id, finding.stage, finding.subject, finding.outcome, finding.policy,
        finding.rule, dict(finding.categories), prompt, finding.model_key, finding.attempt_id, generation_id, asset_id,
        now,
    )  # fmt: skip


async def forget(tx: ElevatedSession, before: datetime) -> int:
    """Delete what is older and waits for nobody; at most some thousands at once. How many."""
    return await tx.execute_raw(_FORGET, before, _AT_ONCE)
