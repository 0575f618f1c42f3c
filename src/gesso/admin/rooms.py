"""The rooms of the panel that are about people, money and what operators did, for `app` to include."""

from fastapi import APIRouter

from gesso.admin import deletions, people_api, people_pages, workspaces_api, workspaces_pages

ROUTERS: tuple[APIRouter, ...] = (
    people_api.router,
    workspaces_api.router,
    people_pages.router,
    workspaces_pages.router,
    deletions.router,
)
