"""The thin face of the queue (pgqueuer): enqueue in the caller's transaction, tasks, schedules, graceful stop."""

from gesso.jobs.queue import enqueue, forget_log
from gesso.jobs.tasks import HandOver, Tasks
from gesso.jobs.worker import Worker

__all__ = ["HandOver", "Tasks", "Worker", "enqueue", "forget_log"]
