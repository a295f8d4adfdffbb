#!/usr/bin/env bash
# look.sh STACK [options of `pulumi preview`]: asks pre-flight and the engine about a stack and keeps what they say in
# reviews/STACK. Changes nothing, and ends with 0 whatever they say: verdict.sh judges, after the answers are kept.
set -euo pipefail
stack=$1
shift
folder=reviews/$stack
mkdir -p "$folder"

code=0
npm run --silent preflight -- --stack "$stack" --json >"$folder/report.json" 2>"$folder/preflight.err" || code=$?
echo "$code" >"$folder/preflight.code"
cat "$folder/preflight.err" >&2

code=0
npx pulumi preview --stack "$stack" --diff --non-interactive --color never --suppress-progress "$@" \
  2>&1 | tee "$folder/preview.txt" || code=$?
echo "$code" >"$folder/preview.code"
