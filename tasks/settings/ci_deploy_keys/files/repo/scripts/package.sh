# Packs what is shipped.
set -euo pipefail
version="$(python3 -c 'import ${module}; print(${module}.__version__)')"
mkdir -p "$OUT_DIR"
tar --sort=name --mtime=@0 --owner=0 --group=0 --exclude=__pycache__ \
  -cf "$OUT_DIR/${repo}-$version.tar" README.md data src
echo "packed ${repo} $version"
