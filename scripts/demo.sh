#!/usr/bin/env bash
# The whole of actfleet once: three nodes collect every activation of the shipped model, one of them is
# killed, the others finish; then an SAE, an activation tokenizer and truth probes are trained from the
# shards, three questions are asked in SQL, and a report is written. Everything lands in demo/.
set -euo pipefail
cd "$(dirname "$0")/.."

actfleet=bin/actfleet
model=examples/tiny-phi
data=$model/statements.jsonl
out=demo
run=$out/run
rows=${DEMO_ROWS:-2400} # prompts collected; all 5,584 make about 1.3 GB

began=$SECONDS
step_began=$SECONDS
step() { # step TEXT: says what comes and how long the last step took
  if [ -n "${title:-}" ]; then echo "   ($title: $((SECONDS - step_began)) s)"; fi
  title=$1
  step_began=$SECONDS
  printf '\n== %s\n' "$title"
}
committed() { find "$run/acts" -name 'unit-*.parquet' 2>/dev/null | wc -l; }
fail() { echo "demo: $*" >&2; for f in "$out"/node-*.log; do echo "--- $f"; cat "$f"; done >&2; exit 1; }

rm -rf "$out"
mkdir -p "$out"

step "1. Three nodes collect every site of every layer, every token of $rows prompts"
collect() { # collect NAME FLAG…: a node in the background
  local name=$1
  shift
  "$actfleet" collect --model "$model" --data "$data" --limit "$rows" --out "$run" --tokens all --keep-text \
    --choices no,yes --threads 1 "$@" >"$out/node-$name.log" 2>&1 &
  echo $! >"$out/node-$name.pid"
}
trap 'for p in "$out"/node-*.pid; do kill "$(cat "$p")" 2>/dev/null || true; done' EXIT
collect a --bind 127.0.0.1:0
seed=
for _ in $(seq 300); do
  seed=$(sed -n 's/^fleet: .* listens on //p' "$out/node-a.log")
  [ -n "$seed" ] && break
  kill -0 "$(cat "$out/node-a.pid")" 2>/dev/null || break
  sleep 0.1
done
[ -n "$seed" ] || fail "the first node did not start"
collect b --join "$seed"
collect c --join "$seed"
echo "   nodes a, b and c gossip over loopback ($seed); they share $run"

# Kill b when it has claimed a unit and the run is under way, as a power cut would.
victim=$(cat "$out/node-b.pid")
for _ in $(seq 1200); do
  mine=$(cat "$run"/log/*-"$victim"-*.jsonl 2>/dev/null || true)
  if [ "$(grep -c '"claim"' <<<"$mine")" -ge 3 ]; then break; fi
  kill -0 "$victim" 2>/dev/null || break
  sleep 0.02
done
disown "$victim" # or bash would report the death as an error
kill -9 "$victim" 2>/dev/null && echo "   killed node b with -9 after $(committed) units were committed" || echo "   node b had nothing left to do"
wait "$(cat "$out/node-a.pid")" || fail "node a ended with an error"
wait "$(cat "$out/node-c.pid")" || fail "node c ended with an error"
sed -n 's/^/   a: /p' <(tail -n 1 "$out/node-a.log")
sed -n 's/^/   c: /p' <(tail -n 1 "$out/node-c.log")
du -sh "$run/acts" | sed 's/^/   /'

step "2. Is every row there exactly once?"
"$actfleet" check "$run"

step "3. Learn from the shards: a TopK SAE on fc2, a tokenizer on resid, a probe per layer and site"
"$actfleet" train sae --from "$run" --sites fc2 --layers 2 --out "$out/sae"
"$actfleet" train tokenizer --from "$run" --sites resid --layers 2 --out "$out/vq"
"$actfleet" train probe --from "$run" --sites all --layers all --out "$out/probes"

step "4. Three questions in SQL"
"$actfleet" sql "$run" --ask rows_per_group | sed -n '1,11p;$p'
"$actfleet" sql "$run" --ask mean_norm_by_layer
"$actfleet" sql "$run" --ask probe_score_by_label

step "5. The report"
"$actfleet" eval "$out/sae" "$out/vq" --from "$run" --model "$model" --prompts 32 >"$out/eval.txt"
"$actfleet" report "$run" --probes "$out/probes" --coders "$out/sae,$out/vq" --out "$out/report.html"

step ""
echo "Done in $((SECONDS - began)) s. Open $PWD/$out/report.html"
