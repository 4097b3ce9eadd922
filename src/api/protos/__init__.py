"""What gRPC speaks: ``task.proto``, and the stubs that ``scripts/protos.sh`` makes of it."""
