#!/usr/bin/env bash
# Runs a command in a network of its own, where namespaces can be made and cut off (ACTFLEET_FLEET_NET=1 says so); or as
# it is, where that is not allowed.
set -euo pipefail
alone=(unshare --net --mount)
[ "$(id -u)" = 0 ] || alone+=(--user --map-root-user)
if "${alone[@]}" sh -c 'mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip tuntap add name probe mode tun' 2>/dev/null; then
  ACTFLEET_FLEET_NET=1 exec "${alone[@]}" sh -c 'mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip link set lo up && exec "$@"' sh "$@"
fi
echo "fleet: no network namespaces here (they need root, or user namespaces, ip and /dev/net/tun): nothing will be partitioned or lost" >&2
exec "$@"
