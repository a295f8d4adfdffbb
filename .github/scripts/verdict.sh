#!/usr/bin/env bash
# verdict.sh STACK: turns what look.sh kept into the outcome of the job. An error fails it. A block fails it, or with
# BLOCKED=warn is a warning. (A job of GitHub Actions cannot end as neutral.)
set -euo pipefail
stack=$1
folder=reviews/$stack

# GitHub reads one line, with these characters encoded
say() {
  local text=$2
  text=${text//'%'/%25}
  text=${text//$'\r'/}
  text=${text//$'\n'/%0A}
  echo "::$1 title=Stack $stack::$text"
}

preflight=$(cat "$folder/preflight.code" 2>/dev/null || echo "none")
preview=$(cat "$folder/preview.code" 2>/dev/null || echo "none")
if [ "$preflight" != 0 ] && [ "$preflight" != 2 ]; then
  say error "Pre-flight could not answer: $(head -c 2000 "$folder/preflight.err" 2>/dev/null || true)"
  exit 1
fi
if [ "$preview" != 0 ]; then
  say error "pulumi preview ended with $preview: $(tail -n 5 "$folder/preview.txt" 2>/dev/null || true)"
  exit 1
fi
if [ "$preflight" = 2 ]; then
  text="Pre-flight is blocked: pulumi up would pause before it touches anything. The comment on the pull request says by what."
  if [ "${BLOCKED:-fail}" = warn ]; then
    say warning "$text"
  else
    say error "$text"
    exit 1
  fi
fi
