package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"actfleet/collector/model"
	"actfleet/collector/model/parity"
	"actfleet/shard/tap"
)

// precisionLine is how far a device and a precision are from fp32 on the CPU, for one checkpoint: the largest difference, as a
// part of each tensor's RMS.
type precisionLine struct {
	Model   string  `json:"model"`
	Device  string  `json:"device"`
	Compute string  `json:"compute"`
	Taps    float64 `json:"taps_by_rms"` // of the worst tap,
	Worst   string  `json:"worst"`       // which is this one
	Logits  float64 `json:"logits_by_rms"`
}

func newBenchPrecision() *cobra.Command {
	var models, dtypes []string
	var device string
	var prompts int
	var jsonOut bool
	c := &cobra.Command{
		Use:   "precision --model DIR",
		Short: "Every tap on a device and in a precision, compared with fp32 on the CPU",
		Long: `Runs random token ids through each checkpoint twice, on the CPU in fp32 and on the device, and gives the largest
difference of any tap as a part of that tensor's RMS. Mixtures of experts may choose other experts where scores are close.
` + exitCodes,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if len(models) == 0 || prompts < 1 {
				return fmt.Errorf("%w: bench precision needs --model, and --prompts must be positive", errUsage)
			}
			return runBenchPrecision(c.Context(), models, device, dtypes, prompts, jsonOut, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.Var((*pathList)(&models), "model", "checkpoints: directories or .gguf files")
	f.StringVar(&device, "device", "auto", "as in collect")
	f.StringSliceVar(&dtypes, "compute", []string{"f32", "bf16"}, "precisions, as in collect")
	f.IntVar(&prompts, "prompts", 4, "how many prompts")
	f.BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}

func runBenchPrecision(ctx context.Context, models []string, device string, dtypes []string, prompts int, jsonOut bool, out io.Writer) error {
	var lines []precisionLine
	for _, dir := range models {
		exact, err := model.Load(dir)
		if err != nil {
			return err
		}
		ids := parity.Prompts(prompts, exact.Info().Vocab, exact.Info().MaxPositions)
		for _, dtype := range dtypes {
			l, err := precision(ctx, exact, dir, targetOptions{device: device, compute: dtype}, ids)
			if err != nil {
				return fmt.Errorf("%s in %s: %w", dir, dtype, err)
			}
			lines = append(lines, l)
		}
	}
	if jsonOut {
		return printJSON(out, lines)
	}
	for _, l := range lines {
		fmt.Fprintf(out, "%-24s %-6s %-5s %8.1e of the RMS at %s, logits %.1e\n", l.Model, l.Device, l.Compute, l.Taps, l.Worst, l.Logits)
	}
	return nil
}

// precision compares one device and precision.
func precision(ctx context.Context, exact *model.Model, dir string, target targetOptions, ids [][]int32) (precisionLine, error) {
	there, err := target.load(dir)
	if err != nil {
		return precisionLine{}, err
	}
	taps, logits, err := parity.Beside(ctx, there.model, exact, ids)
	l := precisionLine{Model: exact.Info().Name, Device: there.kind, Compute: there.compute, Logits: logits.ByRMS}
	for _, c := range taps {
		if c.Site != tap.Experts && c.ByRMS >= l.Taps { // experts are numbers, and near in nothing
			l.Taps, l.Worst = c.ByRMS, c.Name()
		}
	}
	return l, err
}
