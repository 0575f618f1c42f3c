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
    workspaces_api,
    workspaces_pages,
)

ROUTERS: tuple[APIRouter, ...] = (
    people_api.router,
    workspaces_api.router,
    selling_api.plans,
    selling_api.packs,
    audit_pages.api,
    people_pages.router,
    workspaces_pages.router,
    plans_pages.router,
    packs_pages.router,
    audit_pages.router,
    deletions.router,
)
