# Sourced by the scripts beside it: goes to the root of the code, where a bundle was unpacked; packages and paths.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
site=${IR_SITE:-/tmp/ir_lightning_site}
if [ -d wheels ] && [ ! -f "$site/ready" ]; then
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$site" wheels/*.whl \
    && touch "$site/ready"
fi
export PYTHONPATH=$root:$site NO_ALBUMENTATIONS_UPDATE=1 PYTHONUNBUFFERED=1 MPLBACKEND=agg
mkdir -p "$out"

# step NAME SECONDS COMMAND...: with a limit, its output in NAME.log, its end in steps.tsv; nothing stops the next one.
step() {
  local name=$1 limit=$2 began=$SECONDS code=0
  shift 2
  timeout --kill-after=5 "$limit" "$@" > "$out/$name.log" 2>&1 || code=$?
  printf '%s\t%s\t%s s\n' "$name" "$([ $code = 0 ] && echo ok || echo "failed ($code)")" "$((SECONDS - began))" | tee -a "$out/steps.tsv"
  [ $code = 0 ] || tail -n 4 "$out/$name.log"
}
