"""The thin face of the queue (pgqueuer): enqueue in the caller's transaction, tasks, schedules, graceful stop."""

from gesso.jobs.queue import Job, enqueue, forget_log, wake
from gesso.jobs.tasks import HandOver, Tasks
from gesso.jobs.worker import Worker

__all__ = ["HandOver", "Job", "Tasks", "Worker", "enqueue", "forget_log", "wake"]
