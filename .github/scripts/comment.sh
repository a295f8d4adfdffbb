#!/usr/bin/env bash
# comment.sh FILE: puts the text of FILE into the one comment of this workflow on the pull request, found by the marker in its
# first line. With STACKS=[] it only updates: a change that touches no stack gets no comment.
# Needs GH_TOKEN, REPOSITORY (owner/name) and NUMBER (of the pull request).
set -euo pipefail
file=$1
MARKER=$(head -n 1 "$file")
export MARKER
# others may quote the marker; only the bot's own comment is changed
filter='.[] | select(.user.login == "github-actions[bot]" and (.body | startswith(env.MARKER))) | .id'
ids=$(gh api --paginate "repos/$REPOSITORY/issues/$NUMBER/comments?per_page=100" --jq "$filter")
id=${ids%%$'\n'*}
if [ -n "$id" ]; then
  gh api --method PATCH "repos/$REPOSITORY/issues/comments/$id" -F "body=@$file" --jq .html_url
elif [ "${STACKS:-}" != "[]" ]; then
  gh api --method POST "repos/$REPOSITORY/issues/$NUMBER/comments" -F "body=@$file" --jq .html_url
fi
