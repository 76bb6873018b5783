#!/usr/bin/env bash
# Make sure that a Docker engine answers: install Debian's where there is none, start it where it does not run.
# For continuous integration on machines that are thrown away. Does nothing where an engine answers already.
set -euo pipefail

answers() { docker version --format '{{.Server.Version}}' 2>/dev/null; }
stop() { echo "docker: $1" >&2; exit 1; }

if command -v docker >/dev/null && version=$(answers); then
  echo "docker: engine $version answers"
  exit 0
fi
[ -z "${DOCKER_HOST:-}" ] || stop "nothing answers at DOCKER_HOST=$DOCKER_HOST: start that engine, or unset DOCKER_HOST"
[ "$(id -u)" = 0 ] || stop "no engine answers, and only root can start one: run this as root, or start Docker yourself"

# Debian keeps it where some users' PATH does not look.
PATH=$PATH:/usr/sbin:/sbin
log=$(mktemp -t dockerd-XXXXXX.log)
how="installed and "
install_engine() {
  local packages=(docker.io)
  apt-get update -qq || return
  # From Debian 13 on the command is a package of its own.
  if apt-cache show docker-cli >/dev/null 2>&1; then packages+=(docker-cli); fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
}
if command -v dockerd >/dev/null && command -v docker >/dev/null; then
  how=""
else
  command -v apt-get >/dev/null || stop "there is no Docker and no apt-get: install Docker by hand"
  install_engine >"$log" 2>&1 || { tail -n 15 "$log" >&2; stop "apt-get install docker.io failed; log: $log"; }
fi

# vfs: slow with many layers, but it works on every file system and inside containers too.
setsid nohup dockerd --storage-driver=vfs >"$log" 2>&1 </dev/null &
engine=$!
for _ in $(seq 120); do
  if version=$(answers); then
    echo "docker: engine $version ${how}started (process $engine, log $log)"
    exit 0
  fi
  kill -0 "$engine" 2>/dev/null || break
  sleep 0.5
done
tail -n 15 "$log" >&2
stop "dockerd does not start; log: $log"
