"""Tasks over gRPC.

The library's own settings stand in the environment, and it reads them when it is first used: it must not follow every
process that is started (it says so on standard error each time), and what it has to say is no line of our log.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
