"""What other programs and people use: HTTP, the live feed, gRPC, the pages. It reads, and hands work to the queue."""
