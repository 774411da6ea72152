package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"actfleet/internal/outfile"
	"actfleet/trainer"
	"actfleet/trainer/export"
)

type importOptions struct {
	format, out, column, target string
	jsonOut                     bool
}

func newImport() *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import DIR --out CODER",
		Short: "Take an SAE of another program over, to eval, encode and export it",
		Long: "Reads what SAELens of any version, sparsify, dictionary_learning, openai and circuit-tracer wrote, Gemma Scope 1 and 2,\n" +
			"Llama Scope, Qwen Scope, Goodfire and npz, from a folder or, where the layout is one, a file. Nothing in a pickle is\n" +
			"executed; a key or an array that is not understood is refused by name.\n" +
			exitCodes,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runImport(args[0], o, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&o.format, "format", "", "layout; without it the files tell")
	c.Flags().StringVar(&o.out, "out", "", "coder's folder to be made")
	c.Flags().StringVar(&o.column, "column", "", "column it was trained on, such as resid_3")
	c.Flags().StringVar(&o.target, "target", "", "of a transcoder: the column it predicts")
	c.Flags().BoolVar(&o.jsonOut, "json", false, "print JSON")
	return c
}

func runImport(dir string, o importOptions, out io.Writer) error {
	if o.out == "" {
		return fmt.Errorf("%w: import needs --out", errUsage)
	}
	if err := outfile.CheckFolder(o.out); err != nil {
		return err
	}
	f, err := o.layout(dir)
	if err != nil {
		return err
	}
	m, err := export.Read(dir, f, o.target != "")
	if err != nil {
		return err
	}
	if err := trainer.SaveSAE(o.out, m, trainer.Import{Column: o.column, Target: o.target, Program: "actfleet " + version()}); err != nil {
		return err
	}
	if o.jsonOut {
		return printJSON(out, map[string]any{"format": f, "out": o.out, "arch": m.Arch, "d_in": m.D, "d_sae": m.M})
	}
	fmt.Fprintf(out, "%s holds %s of %s (%s, %d latents over vectors of %d)\n", o.out, dir, f, m.Arch, m.M, m.D)
	return nil
}

func (o importOptions) layout(dir string) (export.Format, error) {
	if o.format == "" {
		return export.Detect(dir)
	}
	f, err := export.ParseFormat(o.format, export.Readable)
	if err != nil {
		err = fmt.Errorf("%w: --format: %w", errUsage, err)
	}
	return f, err
}
