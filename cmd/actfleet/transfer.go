package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"actfleet/analysis/evaluate"
)

// runTransfer fits probes on each run alone, in a folder of its own under --out, and measures them on all the others.
func runTransfer(ctx context.Context, o probeOptions, out io.Writer) error {
	names, err := runNames(o.from)
	switch {
	case err != nil:
		return err
	case len(o.from) < 2 || len(o.test) > 0:
		return fmt.Errorf("%w: --transfer needs two runs or more in --from, and no --test", errUsage)
	}
	if _, err := os.Lstat(filepath.Join(o.out, evaluate.TransferFile)); err == nil {
		return fmt.Errorf("%s holds %s already; choose another --out", o.out, evaluate.TransferFile)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	tables := make([]evaluate.Table, len(names))
	for i, name := range names {
		one := o
		one.from, one.out, one.noCodes = o.from[i:i+1], filepath.Join(o.out, name), true
		one.test = slices.Delete(slices.Clone(o.from), i, i+1)
		if tables[i], err = fitProbes(ctx, one); err != nil {
			return fmt.Errorf("fit on %s: %w", o.from[i], err)
		}
	}
	t := evaluate.NewTransfer(names, tables)
	if err := writeResult(o.out, evaluate.TransferFile, t); err != nil {
		return err
	}
	if o.jsonOut {
		return printJSON(out, t)
	}
	return t.WriteText(out)
}
