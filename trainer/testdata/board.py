"""Prints what TensorBoard reads in a folder: {"scalars": {tag: [[step, value], …]}, "histograms": {tag: [[step, num, buckets], …]}}.

Each folder is read as TensorBoard's page does, every event kept. Exit status 77: the package is not there.
"""
import json
import sys

try:
    from tensorboard.backend.event_processing import event_accumulator as ea
except ImportError as e:
    print(e)
    sys.exit(77)

acc = ea.EventAccumulator(sys.argv[1], size_guidance={ea.SCALARS: 0, ea.HISTOGRAMS: 0})
acc.Reload()
tags = acc.Tags()
print(json.dumps({
    "scalars": {t: [[e.step, e.value] for e in acc.Scalars(t)] for t in tags["scalars"]},
    "histograms": {t: [[e.step, e.histogram_value.num, list(e.histogram_value.bucket)] for e in acc.Histograms(t)] for t in tags["histograms"]},
}))
