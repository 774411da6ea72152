package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"actfleet/trainer/measure"
)

type compareOptions struct {
	from                    []string
	rows, coefBits, threads int
	jsonOut                 bool
}

func newCompare() *cobra.Command {
	var o compareOptions
	c := &cobra.Command{
		Use:   "compare DIR… --from RUN",
		Short: "Weigh tokenizers and SAEs of one column by the bits of a row and what they lose",
		Long: `All are measured on the same rows, which their trainings never saw. A * marks those that no other one beats at as
few bits.

  bits      of a row. Tokenizers: ids · log₂ values. SAEs: ⌈log₂ C(width, k)⌉ for which latents are active and
            --coef-bits for each coefficient, which is rounded to a float of five bits of exponent and the rest of
            mantissa before it is measured; where the number of active latents varies, ⌈log₂(width+1)⌉ more to tell it,
            on average over the rows
  carried   bits that a tokenizer's ids carry, the sum of their entropies
  fvu, ev   fraction of variance unexplained; ev = 1 − fvu
  usage     share of the values that ids take, or of the latents that are active, on these rows
` + exitCodes,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runCompare(c.Context(), args, o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.Var((*pathList)(&o.from), "from", "runs to read")
	f.IntVar(&o.rows, "rows", 0, "measure at most so many rows (0: all that are held out)")
	f.IntVar(&o.coefBits, "coef-bits", 8, fmt.Sprintf("bits of an SAE's coefficient, %d to %d", measure.MinCoefBits, measure.MaxCoefBits))
	f.IntVar(&o.threads, "threads", 0, "compute threads (0: all cores)")
	f.BoolVar(&o.jsonOut, "json", false, "print JSON")
	return c
}

func runCompare(ctx context.Context, args []string, o compareOptions, out io.Writer) error {
	dirs, err := coderDirs(args)
	if err != nil {
		return err
	}
	t := trainOptions{from: o.from, out: dirs[0], threads: o.threads}
	runs, err := t.sources(ctx)
	if err != nil {
		return err
	}
	points, err := measure.Compare(ctx, dirs, runs, measure.CompareOptions{Rows: o.rows, CoefBits: o.coefBits})
	if err != nil {
		return err
	}
	if o.jsonOut {
		return printJSON(out, points)
	}
	return printPoints(out, points)
}

func printPoints(out io.Writer, points []measure.Point) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "coder\tarch\tids\tvalues\tbits\tcarried\tfvu\tev\tcosine\tperplexity\tusage\t\t")
	for _, p := range points {
		carried, front := "–", ""
		if p.Carried > 0 {
			carried = fmt.Sprintf("%.1f", p.Carried)
		}
		if p.Front {
			front = "*"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.4g\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", baseName(p.Dir), p.Arch, p.Ids, p.Values, p.Bits, carried,
			cell(p.Metrics, "fvu"), cell(p.Metrics, "ev"), cell(p.Metrics, "cosine"), cell(p.Metrics, "perplexity"), cell(p.Metrics, "usage"), front)
	}
	return w.Flush()
}
