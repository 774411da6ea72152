package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"actfleet/trainer"
	"actfleet/trainer/recipe"
)

const sweepHelp = `
A sweep trains any number of coders in one pass over the shards, each in its own folder below
--out, with the same bytes as when trained alone:

  common: {steps: 500, batch: 4096}
  learners:
    - {kind: sae, site: fc2, layers: 3, width: [1024, 4096], k: [16, 32], seed: [0, 1]}
    - {kind: tokenizer, site: resid, layers: all, codes: 512, name: small}

A list under a key that takes a single value trains one coder per value. --sites and --layers are for
learners that set none. Learners with the same tap, tokens, where, holdout, window, data_seed and
batch share one pass. The memory needed is estimated first; if it is not available, the sweep does not start.
`

func runSweep(ctx context.Context, o trainOptions, out io.Writer) error {
	plans, err := recipe.LoadSweep(o.config, o.set)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	runs, err := o.sources(ctx)
	if err != nil {
		return err
	}
	var jobs []trainer.Job
	for _, p := range plans {
		named := o
		if p.Site != "" {
			named.sites = p.Site
		}
		if p.Layers != "" {
			named.layers = p.Layers
		}
		taps, err := named.taps(runs)
		if err != nil {
			return fmt.Errorf("learner %s: %w", p.Name, err)
		}
		if p.Recipe, err = o.narrow(p.Recipe); err != nil {
			return err
		}
		for _, t := range taps {
			dir := filepath.Join(o.out, t.Column(o.variant)+"-"+p.Name)
			jobs = append(jobs, o.job(dir, runs, t, p.Recipe))
		}
	}
	return o.train(ctx, jobs, out)
}

// checkMemory tells what the jobs will take and refuses them if it is not there.
func checkMemory(jobs []trainer.Job, out io.Writer) error {
	m, err := trainer.PlanMemory(jobs)
	if err != nil {
		return err
	}
	need, free := float64(m.Total()), freeMemory()
	fmt.Fprintf(out, "train: coders %d, readings %d, about %s of memory", len(jobs), m.Feeds, bytesText(need))
	if free > 0 {
		fmt.Fprintf(out, " (%s free)", bytesText(free))
	}
	fmt.Fprintln(out)
	if free > 0 && need > free {
		return fmt.Errorf("%d coders need about %s of memory (%s of it for reading), %s are free: train fewer at once, or lower width, micro, window or init_rows",
			len(jobs), bytesText(need), bytesText(float64(m.Reading)), bytesText(free))
	}
	return nil
}

// freeMemory is what this process may still take, in bytes, of the machine and of its control group; 0 where neither
// tells.
func freeMemory() float64 {
	free := fileNumber("/proc/meminfo", "MemAvailable:") * 1024
	const group = "/sys/fs/cgroup/memory."
	if limit := fileNumber(group+"max", ""); limit > 0 {
		used := fileNumber(group+"current", "") - fileNumber(group+"stat", "inactive_file ") // cached files give way
		if left := max(1, limit-used); free == 0 || left < free {
			free = left
		}
	}
	return free
}

// fileNumber is the number after a word at the beginning of a line of a file; 0 when there is none.
func fileNumber(path, word string) float64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close() // read only
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), word); ok && strings.TrimSpace(rest) != "" {
			n, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return n
		}
	}
	return 0
}
