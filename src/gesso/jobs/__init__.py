"""The thin face of the queue (pgqueuer): enqueue in the caller's transaction, tasks, schedules, graceful stop."""

from gesso.jobs.queue import Job, enqueue, forget_log, wake
from gesso.jobs.tasks import HandOver, Later, Tasks
from gesso.jobs.worker import Worker

__all__ = ["HandOver", "Job", "Later", "Tasks", "Worker", "enqueue", "forget_log", "wake"]
