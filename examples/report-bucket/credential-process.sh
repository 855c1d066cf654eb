#!/bin/sh
# The access key in FILE, as `credential_process` of the AWS SDKs and the CLI wants it, to be asked for again after
# SECONDS: without an end an SDK keeps a key for as long as its process lives, and never sees the next one. SDKs ask
# 5 minutes (Python: up to 15) before the end that they are told.
#
#   credential_process = /etc/rekey/credential-process.sh /run/rekey/report-bucket 30
set -eu
file=$1
seconds=${2:-30}
end=$(date -u -d "@$(($(date +%s) + 300 + seconds))" +%Y-%m-%dT%H:%M:%SZ)
sed "s/}\$/,\"Expiration\":\"$end\"}/" "$file"
