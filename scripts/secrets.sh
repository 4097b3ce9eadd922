#!/usr/bin/env bash
# Look for secrets in every line that was ever added to a repository: keys and tokens whose shape gives them away.
#
#   scripts/secrets.sh [FOLDER]      default: this checkout
#
# Prints file and commit of each and ends with 1. What is there once stays in the history: change the secret itself.
set -euo pipefail

readonly PATTERNS=(
    '-----BEGIN ([A-Z]+ )*PRIVATE KEY-----'
    '(AKIA|ASIA)[0-9A-Z]{16}'                      # Amazon
    'gh[pousr]_[A-Za-z0-9]{36}'                    # GitHub
    'github_pat_[A-Za-z0-9_]{60}'
    'glpat-[A-Za-z0-9_-]{20}'                      # GitLab
    'pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50}'        # PyPI
    'npm_[A-Za-z0-9]{36}'
    'xox[abprs]-[0-9A-Za-z-]{20}'                  # Slack
    'hooks\.slack\.com/services/T[0-9A-Z]+/B[0-9A-Z]+/[0-9A-Za-z]{20}'
    'sk-[A-Za-z0-9_-]{40}'
    'AIza[0-9A-Za-z_-]{35}'                        # Google
    '[0-9]{8,10}:AA[0-9A-Za-z_-]{33}'              # Telegram
    '(infura\.io|alchemy\.com)/v[23]/[0-9A-Za-z_-]{32}'
    'eyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}' # a JSON web token
)

main() {
    local folder=${1:-$(dirname "${BASH_SOURCE[0]}")/..} pattern=''
    pattern=$(IFS='|' && echo "${PATTERNS[*]}")
    # Only the place is printed: a log of this is read by more people than the secret should be.
    git -C "$folder" log --all --patch --unified=0 --no-color --no-ext-diff --text --format='commit %h' |
        awk '/^commit /{ commit = $2 } /^\+\+\+ b\//{ file = substr($0, 7) } /^\+[^+]/{ print commit "\t" file "\t" $0 }' |
        { grep -aE -e "$pattern" || true; } | cut -f1,2 | sort -u |
        awk '{ print "secrets.sh: a secret was added to " $2 " in " $1; found = 1 } END { exit found }'
}

main "$@"
