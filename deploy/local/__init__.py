"""The local stack: our Collector, Jaeger and Prometheus as plain processes, built here, without Docker.

`python -m deploy.local` is the command; `supervisor.Stack` and the functions of `check` are for tests and scripts.
"""
