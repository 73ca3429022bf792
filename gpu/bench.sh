#!/usr/bin/env bash
# Every figure that needs a GPU, in five minutes: gpu/bench.sh OUT
# Results are written as they come; what fails is in OUT/steps.tsv and its log, and the rest goes on.
out=$(realpath -m "${1:?OUT: a folder for the results}")
. "$(dirname "$0")/setup.sh"

step versions 20 python3 -c 'import sys, torch, lightning, hydra, kornia
print("python", sys.version.split()[0], "torch", torch.__version__, "lightning", lightning.__version__, "kornia", kornia.__version__)
print("gpu", torch.cuda.get_device_name(), "cuda", torch.version.cuda, "cudnn", torch.backends.cudnn.version())'
cat "$out/versions.log"
step smoke 60 python3 train.py budget=smoke logger=csv speed=fast budget.iterations=12 run_dir=/tmp/ir_lightning_smoke rerun=true
step gpu-step 100 python3 -m benchmarks.gpu step --out "$out"
step tests 90 python3 -m pytest tests/gpu -q -x --maxfail=20 -p no:cacheprovider
step gpu-memory 25 python3 -m benchmarks.gpu memory --out "$out"
step infoaccum 30 python3 -m benchmarks.infoaccum --device cuda --out "$out"
step gpu-restore 30 python3 -m benchmarks.gpu restore --out "$out"
step gpu-packed 90 python3 -m benchmarks.gpu packed --out "$out"
tail -n 3 "$out"/*.log | cut -c1-300
