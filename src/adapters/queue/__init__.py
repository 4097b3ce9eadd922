"""The queue of tasks: who does which, when, and who takes over."""

from .jobs import JobQueue, QueueOptions

__all__ = ["JobQueue", "QueueOptions"]
