"""Work that would stall the event loop, in processes of its own that can be killed."""

from .pool import KernelOptions, KernelPool

__all__ = ["KernelOptions", "KernelPool"]
