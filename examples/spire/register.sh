#!/bin/sh
# At SPIRE's server, once for each node: whatever runs as the user rekey on the host gw-1 is the node gw-1 of chat-gateway.
# The parent is the ID of SPIRE's agent on that host; without it every host could be gw-1.
set -eu
spire-server entry create \
  -parentID spiffe://prod.example/host/gw-1 \
  -spiffeID spiffe://prod.example/rekey/chat-gateway/gw-1 \
  -selector unix:user:rekey \
  -x509SVIDTTL 3600
