package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"actfleet/collector"
	"actfleet/collector/forecast"
	"actfleet/internal/torch"
	"actfleet/internal/torch/limits"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// dryPage is what collect --dry-run prints.
type dryPage struct {
	Run string `json:"run"`
	collector.Estimate
	forecast.Forecast
	UnitSeconds float64      `json:"unit_seconds"` // the mean of the units
	Place       place        `json:"place"`
	Loaded      int64        `json:"memory_loaded_bytes"` // of the host, by this process before its first batch
	FreeMemory  float64      `json:"memory_free_bytes"`   // of the host; 0: it does not tell
	GPUs        []gpuNeed    `json:"gpus,omitempty"`
	Warnings    []string     `json:"warnings,omitempty"`
	Data        *dataSummary `json:"data"`
	Plan        string       `json:"plan"`
	rule        string       // of the kept positions
}

// place is where the run lies or would lie.
type place struct {
	Where string  `json:"where"`                            // the folder that was looked at, or the bucket
	Free  float64 `json:"free_bytes,omitempty"`             // of a disk
	Write float64 `json:"write_bytes_per_second,omitempty"` // into one object that stays when the power goes; 0: not measured
}

// gpuNeed is the memory of a GPU that is in use, by whomever, and what it has.
type gpuNeed struct {
	Device  string `json:"device"`
	Loaded  int64  `json:"loaded_bytes"`  // with the model
	Batches int64  `json:"batches_bytes"` // and after batches
	Memory  int64  `json:"memory_bytes"`
}

// dryRun predicts what is left of the run and keeps nothing of what it writes to measure.
func (j *job) dryRun(ctx context.Context, out io.Writer) error {
	p, err := j.predict(ctx, time.Now)
	if err != nil {
		return err
	}
	if j.o.jsonOut {
		return printJSON(out, p)
	}
	p.print(out)
	return nil
}

// predict measures what the page tells.
func (j *job) predict(ctx context.Context, now func() time.Time) (p dryPage, err error) {
	p = dryPage{Run: j.o.out, Data: j.data, Plan: j.node.Plan.ID(), rule: j.node.Plan.Tokens}
	done, err := j.done(ctx)
	if err != nil {
		return p, err
	}
	devices, err := j.gpus()
	if err != nil {
		return p, err
	}
	if err := p.calibrate(ctx, j, devices, done, now); err != nil || p.Units == 0 {
		return p, err
	}
	if p.Place, err = lookAtPlace(ctx, j.o.out, now); err != nil {
		p.Warnings = append(p.Warnings, "collect would end with: "+err.Error())
	}
	m := forecast.Machine{Bare: p.Bare, Tapped: p.Tapped, Write: p.Place.Write}
	if m.Flops, m.ToHost, err = rates(j.node.Plan.Compute, devices, p.Lanes, now); err != nil {
		p.Warnings = append(p.Warnings, "not measured: "+err.Error())
	}
	p.Forecast = forecast.Of(j.left(p.Estimate), m)
	p.UnitSeconds = p.Seconds / float64(p.Units)
	p.warn()
	return p, ctx.Err()
}

// calibrate runs a few batches and tells the memory before and after them.
func (p *dryPage) calibrate(ctx context.Context, j *job, devices []torch.Device, done []bool, now func() time.Time) (err error) {
	if p.Loaded, err = collector.PeakMemory(); err != nil {
		return err
	}
	if p.GPUs, err = inUse(devices); err != nil {
		return err
	}
	cfg := j.alone()
	cfg.Now = now
	if p.Estimate, err = collector.Predict(ctx, cfg, done); torch.OutOfMemory(err) {
		return fmt.Errorf("%w; collect would go on with smaller batches, slower than this page could tell", err)
	} else if err != nil {
		return err
	}
	after, err := inUse(devices)
	for i := range after {
		p.GPUs[i].Batches = after[i].Loaded
	}
	p.FreeMemory = freeMemory()
	return err
}

// done says which units the run at --out has; nil where there is no run yet. Another run is refused as collect does.
func (j *job) done(ctx context.Context) ([]bool, error) {
	st, there, err := openRun(ctx, j.o.out)
	switch {
	case errors.Is(err, errNoRun):
		return nil, nil
	case err != nil:
		return nil, err
	case there.ID() != j.node.Plan.ID():
		return nil, &run.PlanMismatch{Run: st.String(), Lines: j.node.Plan.Difference(there)}
	}
	return run.Committed(ctx, st, there)
}

// left is what a forecast must know of a run.
func (j *job) left(e collector.Estimate) forecast.Run {
	plan := j.node.Plan
	return forecast.Run{Tokens: e.Tokens, Positions: e.Positions, Bytes: e.Bytes, Columns: e.Columns, Units: e.Units, Longest: e.Longest,
		Products: e.Products, F32: plan.Dtype == "f32", EveryToken: plan.Tokens == "all", Bucket: inBucket(j.o.out),
		GPU: plan.Device == "cuda", Exact: plan.Compute == "f32"}
}

// gpus are the GPUs of the model, each once; none on the CPU.
func (j *job) gpus() (devices []torch.Device, err error) {
	groups, kind, err := j.o.target.groups()
	if err != nil || kind == "cpu" {
		return nil, err
	}
	devices = slices.Concat(groups...)
	slices.Sort(devices)
	return slices.Compact(devices), nil
}

// inUse is the memory of GPUs that is in use now, as Loaded.
func inUse(devices []torch.Device) (needs []gpuNeed, err error) {
	for _, d := range devices {
		gpu, err := torch.LookAt(d)
		if err != nil {
			return nil, err
		}
		needs = append(needs, gpuNeed{Device: d.String(), Loaded: gpu.Memory - gpu.Free, Memory: gpu.Memory})
	}
	return needs, nil
}

// rates are the matrix products of the model's precision and the copies to the host, a second: those of all GPUs, or of
// the CPU in so many lanes.
func rates(compute string, devices []torch.Device, lanes int, now func() time.Time) (flops, toHost float64, err error) {
	if len(devices) == 0 {
		flops, err = cpuProducts(computes[compute], lanes, now)
		return flops, 0, err
	}
	for _, d := range devices {
		f, err := limits.Products(d, computes[compute], now)
		if err != nil {
			return 0, 0, err
		}
		h, _, err := limits.Copies(d, now)
		if err != nil {
			return 0, 0, err
		}
		flops, toHost = flops+f, toHost+h
	}
	return flops, toHost, nil
}

// cpuProducts are those of so many threads that compute on their own, as lanes do.
func cpuProducts(dtype torch.Dtype, lanes int, now func() time.Time) (total float64, err error) {
	each := make([]float64, lanes)
	var running errgroup.Group
	for i := range each {
		running.Go(func() (err error) { each[i], err = limits.Products(torch.CPU, dtype, now); return err })
	}
	err = running.Wait()
	for _, flops := range each {
		total += flops
	}
	return total, err
}

// probeBytes is the size of the object that is written to measure a store.
const probeBytes = 16 << 20

// lookAtPlace measures the store that a run at out has or would have. An error is what collect would end with.
func lookAtPlace(ctx context.Context, out string, now func() time.Time) (place, error) {
	if inBucket(out) {
		st, err := openStore(ctx, out, true)
		if err != nil {
			return place{}, err
		}
		rate, err := writeRate(ctx, st, now)
		return place{Where: st.String(), Write: rate}, err
	}
	dir := existing(out)
	p := place{Where: dir}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return p, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	p.Free = float64(fs.Bavail) * float64(fs.Bsize)
	if p.Free < 2*probeBytes {
		return p, nil
	}
	tmp, err := os.MkdirTemp(dir, ".actfleet-dry-run-")
	if err != nil {
		return p, fmt.Errorf("a run at %s: %w", out, err)
	}
	defer os.RemoveAll(tmp)
	st, err := local.New(tmp)
	if err == nil {
		p.Write, err = writeRate(ctx, st, now)
	}
	return p, err
}

// existing is the nearest folder above a path, or the path, that is there.
func existing(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "."
	}
	for {
		if info, err := os.Stat(abs); err == nil && info.IsDir() || abs == filepath.Dir(abs) {
			return abs
		}
		abs = filepath.Dir(abs)
	}
}

// writeRate is the bytes a second of one object, which it removes.
func writeRate(ctx context.Context, st store.Store, now func() time.Time) (rate float64, err error) {
	data := make([]byte, probeBytes)
	rand.Read(data) // never fails; a file system might compress zeros
	key := "dry-run-" + rand.Text()
	began := now()
	if err := store.Put(ctx, st, key, data); err != nil {
		return 0, err
	}
	rate = probeBytes / now().Sub(began).Seconds()
	return rate, st.Delete(context.WithoutCancel(ctx), key) // whoever interrupts it must not find the object there
}

// warn adds what will not fit.
func (p *dryPage) warn() {
	if p.Place.Free > 0 && float64(p.Bytes) > p.Place.Free {
		p.Warnings = append(p.Warnings, fmt.Sprintf("not enough disk: %s to write, %s free in %s", bytesText(float64(p.Bytes)), bytesText(p.Place.Free), p.Place.Where))
	}
	if blocks := float64(p.Blocks) * float64(p.BlockBytes); p.FreeMemory > 0 && blocks > p.FreeMemory {
		p.Warnings = append(p.Warnings, fmt.Sprintf("not enough memory: row groups of %s beside model and batches, %s free", bytesText(blocks), bytesText(p.FreeMemory)))
	}
}

// print writes the page.
func (p *dryPage) print(out io.Writer) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(out, "%-9s %s\n", what, fmt.Sprintf(format, args...))
	}
	line("documents", "%s", p.Data)
	switch {
	case p.Units == 0:
		line("run", "%s is complete: all of its %d units are done", p.Run, p.Done)
		line("plan", "%s", p.Plan)
		return
	case p.Done > 0:
		line("run", "%s has %d of %d units; this page is about the other %d", p.Run, p.Done, p.Done+p.Units, p.Units)
	default:
		line("run", "%s, a new one", p.Run)
	}
	line("prompts", "%d, %d tokens", p.Prompts, p.Estimate.Tokens)
	line("rows", "%d kept positions (%s) × %d vector columns", p.Rows, p.rule, p.Columns)
	line("disk", "%s", p.diskText())
	line("units", "%s", p.unitsText())
	line("memory", "%s", p.memoryText())
	for _, g := range p.GPUs {
		line(g.Device, "%s in use with the model, %s with batches, of %s", bytesText(float64(g.Loaded)), bytesText(float64(g.Batches)), bytesText(float64(g.Memory)))
	}
	line("speed", "%s", p.speedText())
	line("time", "%s", p.timeText())
	line("", "%s", stagesText(p.Stages))
	line("limit", "%s: %s", p.Bottleneck, changeText(p.Change))
	for _, w := range p.Warnings {
		line("warning", "%s", w)
	}
	line("plan", "%s\nnothing was kept", p.Plan)
}

func freeText(bytes float64) string {
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf("; %s free", bytesText(bytes))
}

func (p *dryPage) diskText() string {
	text := bytesText(float64(p.Bytes)) + " to write" + freeText(p.Place.Free)
	if p.Place.Write == 0 {
		return text + "; how fast was not measured"
	}
	return fmt.Sprintf("%s; %s/s measured in %s", text, bytesText(p.Place.Write), p.Place.Where)
}

func (p *dryPage) memoryText() string {
	blocks := int64(p.Blocks) * p.BlockBytes
	return fmt.Sprintf("%s a node: %s with the model, %s for batches, %d row groups of %s%s", bytesText(float64(p.Memory)), bytesText(float64(p.Loaded)),
		bytesText(float64(p.Memory-blocks-p.Loaded)), p.Blocks, bytesText(float64(p.BlockBytes)), freeText(p.FreeMemory))
}

// unitsText says how many units there are, how long one takes, and how many nodes they are enough for.
func (p *dryPage) unitsText() string {
	mean := timeText(inSeconds(p.UnitSeconds))
	if p.Units == 1 {
		return fmt.Sprintf("1 of %s here: a second node would be idle; --unit-prompts makes more", mean)
	}
	return fmt.Sprintf("%d of about %d prompts and %s here, the longest %s: of more than %d nodes the others would be idle",
		p.Units, p.Prompts/p.Units, mean, timeText(inSeconds(p.LongestUnitSeconds)), p.Units)
}

func (p *dryPage) speedText() string {
	text := fmt.Sprintf("%.0f tokens/s, measured in %d lanes", p.Forecast.Tokens, p.Lanes)
	for i, c := range p.Ceilings {
		text += fmt.Sprintf("%s %s %.0f", map[bool]string{true: "; alone would allow:", false: ","}[i == 0], c.Of, c.Tokens)
	}
	return text
}

func (p *dryPage) timeText() string {
	text := timeText(inSeconds(p.Seconds)) + " on this machine alone"
	for _, f := range p.Fleets {
		text += fmt.Sprintf(", %s on %d such nodes", timeText(inSeconds(f.Seconds)), f.Nodes)
	}
	return text
}

// stagesText is where the time goes.
func stagesText(stages []forecast.Stage) string {
	var row, beside []string
	for _, s := range stages {
		text := s.Name + " " + timeText(inSeconds(s.Seconds))
		if s.Beside {
			beside = append(beside, text)
		} else {
			row = append(row, text)
		}
	}
	text := strings.Join(row, " + ")
	if len(beside) > 0 {
		text += "; beside them " + strings.Join(beside, ", ")
	}
	return text
}

func changeText(c forecast.Change) string {
	if c.Saves <= 0 {
		return c.Do
	}
	return fmt.Sprintf("%s saves %s", c.Do, timeText(inSeconds(c.Saves)))
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
