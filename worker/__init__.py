"""The worker: claims jobs, runs each in a child process, reports what happens."""
