#!/usr/bin/env bash
# Table II's Rain800 column, its five rows side by side on one GPU: gpu/table2.sh OUT ITERATIONS [SEED]
# The training crops, the schedule and the protocol are the project's; nothing is tuned on the test images.
out=$(realpath -m "${1:?OUT: a folder for the results}")
iterations=${2:?ITERATIONS of each run}
seed=${3:-0}
. "$(dirname "$0")/setup.sh"
methods="pix2pix pix2pix_lsgan unet5 unet5_infoaccum unet5_infoaccum_subpixel"
runs=$out/table2-seed$seed

step prepare 150 python3 -c 'from ir_lightning.cli import main; main()' data prepare rain800 paths.data="$root/data" paths.stores=/tmp/ir_lightning_stores
for method in $methods; do
  OMP_NUM_THREADS=2 step "$method-seed$seed" "${LIMIT:-480}" python3 train.py method="$method" dataset=rain800 paths.data="$root/data" \
    paths.stores=/tmp/ir_lightning_stores budget=paper budget.epochs=null budget.iterations="$iterations" budget.crop=256 \
    dataset.small_images=pad budget.checkpoint_every=4000 budget.validation_images=16 data.workers=2 seed="$seed" \
    logger=csv callbacks=none speed="${SPEED:-fast}" run_dir="$runs/$method" &
done
wait
tar czf "$runs.tgz" -C "$out" --exclude=checkpoints --exclude=gallery --exclude='*.safetensors' "table2-seed$seed"
rm -r "$runs"
