"""The Collector's image and the Compose file around it. `python -m deploy.docker.build` is the command."""
