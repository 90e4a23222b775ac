# Does the package work away from the checkout?
set -euo pipefail
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
tar -xf "$OUT_DIR"/${repo}-*.tar -C "$place"
cd "$place"
newest="$(python3 -m ${module} v0.9.0 v0.10.0 v0.10.0rc1)"
echo "newest: $newest"
test "$newest" = v0.10.0
