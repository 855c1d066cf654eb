#!/bin/sh
# Ends what a launcher started once the launcher is gone, however it went: SIGKILL closes the pipe on our input as surely
# as a clean exit does, and nothing else can be relied on then. A shell, because every launcher keeps one of these around.
#
# Input, one entry a line, taken back by the same line after "forget ":
#   group PGID SIGNAL       a process group, and the signal that ends it at once
#   directory PATH          a temporary directory
#   compose PROJECT FILE    a Docker Compose project
trap '' INT TERM HUP
entries=
while read -r verb rest; do
  case $verb in
    forget) entries=$(printf '%s\n' "$entries" | grep -vxF -- "$rest") ;;
    *) entries=$(printf '%s\n%s %s' "$entries" "$verb" "$rest") ;;
  esac
done

each() { printf '%s\n' "$entries" | while read -r verb first rest; do "$1"; done; }

end_group() { if [ "$verb" = group ]; then kill -s "$rest" -- "-$first" 2>/dev/null; fi; }
kill_group() { if [ "$verb" = group ]; then kill -s KILL -- "-$first" 2>/dev/null; fi; }
alive() { if [ "$verb" = group ] && kill -s 0 -- "-$first" 2>/dev/null; then echo alive; fi; }
clean() {
  case $verb in
    compose) docker compose --project-name "$first" --file "$rest" down --volumes --timeout 1 >/dev/null 2>&1 ;;
    directory) rm -rf -- "$first${rest:+ $rest}" ;;
  esac
}

each end_group
tries=0
while [ -n "$(each alive)" ] && [ "$tries" -lt 30 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
each kill_group
each clean
