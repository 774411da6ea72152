package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"actfleet/collector"
	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard/run"
)

// targetOptions say where the model is computed and in what precision.
type targetOptions struct{ device, compute string }

func (o *targetOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.device, "device", "auto", "auto (every GPU, else cpu), cpu, cuda, cuda:0,cuda:1 (a replica of the model on each) or cuda:0+cuda:1 (one model split across them)")
	f.StringVar(&o.compute, "compute", "auto", "dtype of the blocks' linear layers: auto (bf16 on a GPU, else f32), f32, tf32 (GPU), bf16 or f16; everything else is f32")
}

// flagsOfOne are the flags of a command that computes with one model, in fp32 unless told otherwise.
func (o *targetOptions) flagsOfOne(f *pflag.FlagSet) {
	f.StringVar(&o.device, "device", "auto", "auto (the first GPU, else cpu), cpu, cuda:1, or cuda:0+cuda:1 (the model split across them)")
	f.StringVar(&o.compute, "compute", "f32", "dtype of the blocks' linear layers: f32, tf32 (GPU), bf16 or f16; everything else is f32")
}

var computes = map[string]torch.Dtype{"f32": torch.F32, "tf32": torch.F32, "bf16": torch.BF16, "f16": torch.F16}

// languageModel is a model that is collected from and that continues prompts.
type languageModel interface {
	collector.Model
	NewCache() *model.Cache
	Generate(ctx context.Context, g model.Generation) ([]model.Continuation, error)
}

// loaded is a model on its devices, and what a plan says of them.
type loaded struct {
	model   languageModel
	kind    string // cpu or cuda
	compute string
	gpu     *run.GPU // nil on the CPU
	memory  int64    // bytes of the smallest GPU
}

// groups are the devices of each copy of the model, all of one kind, cpu or cuda.
func (o targetOptions) groups() (groups [][]torch.Device, kind string, err error) {
	device := o.device
	if n := torch.CUDA(); n > 0 && (device == "cuda" || device == "auto") {
		device = "cuda:0"
		for i := 1; i < n; i++ {
			device += fmt.Sprintf(",cuda:%d", i)
		}
	}
	kinds := map[string]bool{}
	for _, copy := range strings.Split(device, ",") {
		var group []torch.Device
		for _, name := range strings.Split(copy, "+") {
			d, err := torch.ParseDevice(name)
			if err != nil && strings.HasPrefix(name, "cuda") && torch.NoCUDA() != nil {
				return nil, "", fmt.Errorf("%w: --device %s: %w; say --device cpu, or see docs/gpu.md and actfleet doctor", errUsage, o.device, err)
			}
			if err != nil {
				return nil, "", fmt.Errorf("%w: --device: %w", errUsage, err)
			}
			kind = map[bool]string{false: "cpu", true: "cuda"}[d.IsCUDA()]
			kinds[kind] = true
			group = append(group, d)
		}
		groups = append(groups, group)
	}
	if len(kinds) > 1 {
		return nil, "", fmt.Errorf("%w: --device %s: one run is computed on one kind of device", errUsage, o.device)
	}
	return groups, kind, nil
}

// load loads a model for the devices, passing over the named keys of its config.json.
func (o targetOptions) load(dir string, accept ...string) (l loaded, err error) {
	groups, kind, err := o.groups()
	if err != nil {
		return l, err
	}
	l.kind = kind
	targets, err := l.targets(o, groups)
	if err != nil {
		return l, err
	}
	if kind == "cpu" && len(targets) == 1 { // any number of passes at a time
		l.model, err = model.LoadOn(dir, targets[0], accept...)
	} else {
		l.model, err = model.LoadCopies(dir, targets, accept...)
	}
	return l, l.advise(o, groups, err)
}

// loadOne is load for a command that computes with one model.
func (o targetOptions) loadOne(dir string, accept ...string) (*model.Model, error) {
	groups, kind, err := o.groups()
	if err != nil {
		return nil, err
	}
	if len(groups) > 1 && o.device != "auto" && o.device != "cuda" {
		return nil, fmt.Errorf("%w: --device %s: one model is computed with here, and these are replicas; name one GPU, or split the model (%s)",
			errUsage, o.device, strings.ReplaceAll(o.device, ",", "+"))
	}
	l := loaded{kind: kind}
	targets, err := l.targets(o, groups[:1])
	if err != nil {
		return nil, err
	}
	m, err := model.LoadOn(dir, targets[0], accept...)
	return m, l.advise(o, groups[:1], err)
}

// targets are those of replicas on groups of devices.
func (l *loaded) targets(o targetOptions, groups [][]torch.Device) (targets []model.Target, err error) {
	dtype, err := l.precision(o.compute)
	if err != nil {
		return nil, err
	}
	if l.kind == "cuda" {
		l.gpu, l.memory, err = oneKind(slices.Concat(groups...))
	} else if note := unusedGPU(nvidiaSign(), torch.NoCUDA()); note != "" && o.device == "auto" {
		fmt.Fprintln(os.Stderr, note)
	}
	for _, g := range groups {
		targets = append(targets, model.Target{Compute: dtype, Devices: g})
	}
	return targets, err
}

// advise says what to do about an error of loading a model on groups of devices.
func (l loaded) advise(o targetOptions, groups [][]torch.Device, err error) error {
	if errors.Is(err, model.ErrCompute) {
		return fmt.Errorf("%w: --compute %s: %w; use %s", errUsage, o.compute, err, map[string]string{"f16": "f32 or bf16", "bf16": "f32"}[l.compute])
	}
	if torch.OutOfMemory(err) {
		return fmt.Errorf("%w; %s: end what else uses it, split the model over GPUs (--device cuda:0+cuda:1), or name others", err, gpuFreeText(slices.Concat(groups...)))
	}
	return err
}

// gpuFreeText is "cuda:0 has 3.1 GB free of 8.0 GB", of each device once.
func gpuFreeText(devices []torch.Device) string {
	var says []string
	for _, d := range slices.Compact(slices.Sorted(slices.Values(devices))) {
		if gpu, err := torch.LookAt(d); err == nil {
			says = append(says, fmt.Sprintf("%s has %s free of %s", d, bytesText(float64(gpu.Free)), bytesText(float64(gpu.Memory))))
		}
	}
	return strings.Join(says, ", ")
}

// precision is what compute, or auto, means on the kind of device: a GPU computes bf16 products many times faster than
// fp32 ones. The fp32 products that are left there, those of attention, are rounded to TF32 unless f32 was asked for.
func (l *loaded) precision(compute string) (torch.Dtype, error) {
	l.compute = compute
	if compute == "auto" {
		l.compute = map[string]string{"cpu": "f32", "cuda": "bf16"}[l.kind]
	}
	dtype, ok := computes[l.compute]
	if !ok {
		return 0, fmt.Errorf("%w: --compute %s: want auto, f32, tf32, bf16 or f16", errUsage, compute)
	}
	if l.compute == "tf32" && l.kind == "cpu" {
		return 0, fmt.Errorf("%w: --compute tf32 is for GPUs, and this run is computed on the CPU", errUsage)
	}
	torch.AllowTF32(l.kind == "cuda" && l.compute != "f32")
	return dtype, nil
}

// oneKind is what a plan says of the GPUs, and the memory of the smallest. Another kind rounds otherwise, and a run is made
// by one.
func oneKind(devices []torch.Device) (kind *run.GPU, memory int64, err error) {
	for _, d := range devices {
		gpu, err := torch.LookAt(d)
		if err != nil {
			return nil, 0, err
		}
		k := run.GPU{Name: gpu.Name, Capability: gpu.Capability(), Libtorch: torch.Version()}
		if kind == nil {
			kind, memory = &k, gpu.Memory
		}
		if k != *kind {
			return nil, 0, fmt.Errorf("%w: --device: %s is a %s, %s a %s: name those of one kind", errUsage, devices[0], kind.Name, d, k.Name)
		}
		memory = min(memory, gpu.Memory)
	}
	return kind, memory, nil
}

// as are the options for a run that another node has begun: its precision, and its kind of device.
func (o targetOptions) as(p run.Plan) (targetOptions, error) {
	o.compute = p.Compute
	if o.device == "auto" {
		o.device = p.Device
	}
	groups, have, err := o.groups()
	if err == nil && have != p.Device {
		err = fmt.Errorf("%w: --device %s: this run is computed on %s", errUsage, o.device, p.Device)
	}
	if err != nil || p.GPU == nil {
		return o, err
	}
	gpu, _, err := oneKind(slices.Concat(groups...))
	if err == nil && *gpu != *p.GPU {
		err = fmt.Errorf("this run is computed on %s, and here is %s, which gives other bytes", p.GPU, gpu)
	}
	return o, err
}
