package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"actfleet/collector/model"
)

// maxLine bounds one line of input: no prompt a model can take is longer.
const maxLine = 64 << 20

func newTokenize() *cobra.Command {
	var dir string
	var noSpecial bool
	c := &cobra.Command{
		Use:   "tokenize --model DIR < texts.jsonl > ids.jsonl",
		Short: `Turn {"text":…} lines into {"ids":[…]} lines`,
		Long:  "Reads one JSON object with a text per line and writes its token ids, as collect would use them.\n" + exitCodes,
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return fmt.Errorf("%w: tokenize needs --model", errUsage)
			}
			return runTokenize(c.Context(), dir, !noSpecial, c.InOrStdin(), c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&dir, "model", "", "directory with tokenizer.json, a .gguf file, or ORG/NAME[@REVISION] on the hub")
	c.Flags().BoolVar(&noSpecial, "no-special", false, "leave out the tokens the tokenizer adds by itself (BOS …)")
	return c
}

func runTokenize(ctx context.Context, dir string, special bool, in io.Reader, out io.Writer) (err error) {
	if dir, err = fetchModel(ctx, dir); err != nil {
		return err
	}
	text, err := model.LoadTokenizer(dir)
	if err != nil {
		return err
	}
	for _, note := range text.Notes() {
		fmt.Fprintln(os.Stderr, note)
	}
	twice := 0
	w := bufio.NewWriter(out)
	defer func() { err = errors.Join(err, w.Flush()) }()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	enc := json.NewEncoder(w)
	for n := 1; lines.Scan(); n++ {
		var row struct {
			Text *string `json:"text"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil || row.Text == nil {
			return fmt.Errorf(`line %d is no JSON object with a string as its "text"`, n)
		}
		ids := append([]int32{}, text.Encode(*row.Text, special)...) // an empty text is [], not null
		if err := text.Err(); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if special && text.BeginsTwice(ids) {
			twice++
		}
		if err := enc.Encode(map[string][]int32{"ids": ids}); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if twice > 0 {
		fmt.Fprintf(os.Stderr, "%d texts begin with the token that is put before every text, so they have it twice (--no-special puts none)\n", twice)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line has more than %d bytes", maxLine)
	}
	return lines.Err()
}
