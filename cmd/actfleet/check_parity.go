package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/collector/model/parity"
	"actfleet/shard/tap"
)

// errDiffers makes check --parity exit with exitDamage.
var errDiffers = errors.New("not Hugging Face's activations")

// parityOptions are the flags of check --parity.
type parityOptions struct {
	model, python, data string
	accept              []string // keys of config.json that are passed over
	prompts             int
	jsonOut             bool
}

func (o parityOptions) check() error {
	switch {
	case o.python == "":
		return fmt.Errorf("%w: --parity needs --python: a virtual environment with torch, transformers and safetensors", errUsage)
	case o.prompts < 1:
		return fmt.Errorf("%w: --prompts must be positive", errUsage)
	}
	return nil
}

func runParity(ctx context.Context, o parityOptions, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	python, err := parity.Interpreter(o.python)
	if err != nil {
		return err
	}
	if o.model, err = fetchModel(ctx, o.model); err != nil {
		return err
	}
	began := time.Now()
	m, err := model.Load(o.model, o.accept...)
	if err != nil {
		return err
	}
	prompts, err := o.read(m.Info())
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s is loaded (%s); now Hugging Face's turn with %d prompts\n", m.Info().Name, timeText(time.Since(began)), len(prompts))
	r, err := parity.Run(ctx, m, o.model, python, prompts)
	if err != nil {
		return err
	}
	if o.jsonOut {
		err = printJSON(out, r)
	} else {
		err = printParity(out, r, time.Since(began))
	}
	if err == nil && !r.Equal {
		err = fmt.Errorf("%w: %s is off by %.1e in prompt %d, allowed is %.0e", errDiffers, r.Worst().Name(), r.Worst().Error, r.Worst().Prompt, r.Tolerance)
	}
	return err
}

// read takes the first prompts of --data; without it they are random token ids.
func (o parityOptions) read(info model.Info) ([][]int32, error) {
	if o.data == "" {
		return parity.Prompts(o.prompts, info.Vocab, info.MaxPositions), nil
	}
	text, err := model.LoadTokenizer(o.model)
	if err != nil {
		return nil, err
	}
	set, err := dataset.Open([]string{o.data}, dataset.Options{Limit: o.prompts})
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if _, err := set.Tokenize(&file, text, dataset.Limits{MaxTokens: info.MaxPositions, Vocab: info.Vocab}); err != nil {
		return nil, err
	}
	in, err := dataset.ReadInput(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		return nil, err
	}
	return in.IDs, nil
}

// printParity prints a line per layer and a column per site; what is too far off is marked.
func printParity(out io.Writer, r parity.Report, took time.Duration) error {
	fmt.Fprintf(out, "%s (%s) beside %s of transformers %s, torch %s: %d prompts, %d tokens, %s\nlargest |difference| / RMS; ! is above %.0e of the RMS and of the value\n",
		r.Model, r.Arch, r.Peer.Class, r.Peer.Transformers, r.Peer.Torch, r.Prompts, r.Tokens, timeText(took), r.Tolerance)
	mark := func(c parity.Cell) string {
		if c.Error > r.Tolerance {
			return fmt.Sprintf("%.1e!", c.ByRMS)
		}
		return fmt.Sprintf("%.1e", c.ByRMS)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "layer")
	for _, site := range tap.Sites {
		fmt.Fprintf(w, "\t%s", site)
	}
	for i, c := range r.Taps {
		if i%len(tap.Sites) == 0 {
			fmt.Fprintf(w, "\n%d", c.Layer)
		}
		fmt.Fprintf(w, "\t%s", mark(c))
	}
	fmt.Fprintf(w, "\nlogits\t%s\n", mark(r.Logits))
	if err := w.Flush(); err != nil || !r.Equal {
		return err
	}
	_, err := fmt.Fprintf(out, "equal: no value is off by more than %.1e of itself or the RMS, whichever is larger (%s); allowed is %.0e\n",
		r.Worst().Error, r.Worst().Name(), r.Tolerance)
	return err
}
