"""The process that a run is: device, threads, allocator, signals, streams, terminal."""
