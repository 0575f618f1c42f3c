"""The rooms of the panel that are about people, money and what operators did, for `app` to include."""

from fastapi import APIRouter

from gesso.admin import (
    audit_pages,
    deletions,
    packs_pages,
    people_api,
    people_pages,
    plans_pages,
    selling_api,
    subscriptions_api,
    subscriptions_pages,
    webhooks_api,
    webhooks_pages,
    workspaces_api,
    workspaces_pages,
)

ROUTERS: tuple[APIRouter, ...] = (
    people_api.router,
    workspaces_api.router,
    selling_api.plans,
    selling_api.packs,
    subscriptions_api.router,
    webhooks_api.router,
    audit_pages.api,
    people_pages.router,
    workspaces_pages.router,
    plans_pages.router,
    packs_pages.router,
    subscriptions_pages.router,
    webhooks_pages.router,
    audit_pages.router,
    deletions.router,
)
