"""The thin face of the queue (pgqueuer): enqueue in the caller's transaction, tasks, schedules, graceful stop.

The loop of a worker, `gesso.jobs.worker`, is not imported here: pgqueuer takes a fifth of a second to load, and only
workers need it.
"""

from gesso.jobs.queue import Job, enqueue, forget_log, wake
from gesso.jobs.tasks import HandOver, Later, Tasks, WorkerContext

__all__ = ["HandOver", "Job", "Later", "Tasks", "WorkerContext", "enqueue", "forget_log", "wake"]
