# Sends the package to the artifact store.
set -euo pipefail
for file in "$OUT_DIR"/*.tar; do
  name="$(basename "$file")"
  curl -sS --fail -o /dev/null -w "published $name: HTTP %{http_code}\n" \
    -H "Authorization: Bearer $DEPLOY_TOKEN" -T "$file" "https://${store_host}/${repo}/$name"
done
