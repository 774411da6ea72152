package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"actfleet/collector"
	"actfleet/collector/model"
	"actfleet/internal/torch"
)

// targetOptions say where the model is computed and in what precision.
type targetOptions struct{ device, compute string }

func (o *targetOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.device, "device", "auto", "auto (every GPU, else cpu), cpu, cuda, cuda:0,cuda:1 (a replica of the model on each) or cuda:0+cuda:1 (one model split across them)")
	f.StringVar(&o.compute, "compute", "f32", "dtype of the blocks' linear layers: f32, bf16 or f16; everything else is f32")
}

var computes = map[string]torch.Dtype{"f32": torch.F32, "bf16": torch.BF16, "f16": torch.F16}

// groups are the devices of each copy of the model, all of one kind, cpu or cuda.
func (o targetOptions) groups() (groups [][]torch.Device, kind string, err error) {
	device := o.device
	if n := torch.CUDA(); device == "cuda" || device == "auto" && n > 0 {
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

// load loads a model for the devices, passing over the named keys of its config.json, and says their kind.
func (o targetOptions) load(dir string, accept ...string) (collector.Model, string, error) {
	compute, ok := computes[o.compute]
	if !ok {
		return nil, "", fmt.Errorf("%w: --compute %s: want f32, bf16 or f16", errUsage, o.compute)
	}
	groups, kind, err := o.groups()
	if err != nil {
		return nil, "", err
	}
	if kind == "cpu" && o.device == "auto" {
		if note := unusedGPU(nvidiaSign(), torch.NoCUDA()); note != "" {
			fmt.Fprintln(os.Stderr, note)
		}
	}
	var targets []model.Target
	for _, g := range groups {
		targets = append(targets, model.Target{Compute: compute, Devices: g})
	}
	if kind == "cpu" && len(targets) == 1 { // any number of passes at a time
		m, err := model.LoadOn(dir, targets[0], accept...)
		return m, kind, err
	}
	m, err := model.LoadCopies(dir, targets, accept...)
	return m, kind, err
}

// as are the options for a run that another node has begun: its precision, and its kind of device.
func (o targetOptions) as(kind, compute string) (targetOptions, error) {
	o.compute = compute
	if o.device == "auto" {
		o.device = kind
	}
	_, have, err := o.groups()
	if err == nil && have != kind {
		err = fmt.Errorf("%w: --device %s: this run is computed on %s", errUsage, o.device, kind)
	}
	return o, err
}
