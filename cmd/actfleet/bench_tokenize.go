package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"actfleet/collector/collectbench"
	"actfleet/collector/model"
)

func newBenchTokenize() *cobra.Command {
	var dir, data string
	var threads, rounds int
	var jsonOut bool
	c := &cobra.Command{
		Use:   "tokenize --model DIR --data FILE",
		Short: "Texts to token ids, on all threads compared with one",
		Long: `Reads the texts of FILE, lines like {"text":…}, and turns them into token ids without writing them.` + "\n" +
			"scripts/bench/hf_tokenizers.py alternates it with Hugging Face's tokenizers.\n" + exitCodes,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case dir == "" || data == "":
				return fmt.Errorf("%w: --model and --data are needed", errUsage)
			case threads < 0 || rounds < 1:
				return fmt.Errorf("%w: --threads must not be negative, and --rounds must be at least 1", errUsage)
			}
			if threads == 0 {
				threads = runtime.NumCPU()
			}
			return runBenchTokenize(c.Context(), dir, data, threads, rounds, c.OutOrStdout(), jsonOut)
		},
	}
	f := c.Flags()
	f.StringVar(&dir, "model", "", "directory with tokenizer.json, or a .gguf file")
	f.StringVar(&data, "data", "", `file with a line like {"text":…} for each text`)
	f.IntVar(&threads, "threads", 0, "threads (0: all cores)")
	f.IntVar(&rounds, "rounds", 5, "how often each side runs")
	f.BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}

func runBenchTokenize(ctx context.Context, dir, data string, threads, rounds int, out io.Writer, jsonOut bool) error {
	dir, err := fetchModel(ctx, dir)
	if err != nil {
		return err
	}
	text, err := model.LoadTokenizer(dir)
	if err != nil {
		return err
	}
	texts, err := readTexts(data)
	if err != nil {
		return err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	t, err := collectbench.Tokenize(func(s string) []int32 { return text.Encode(s, true) }, texts, threads, rounds)
	if err != nil {
		return err
	}
	mb, n := float64(t.Bytes)/1e6, float64(threads)
	return printBench(out, jsonOut, []benchLine{
		{Name: fmt.Sprintf("texts to ids, %d threads", threads), Value: mb / t.All.Wall, Unit: "MB/s", Limit: n * mb / t.One.Wall,
			Ratio: t.Ratio.Wall / n, Of: fmt.Sprintf("%d × one thread", threads)},
		{Name: "the same, processor time", Value: mb / t.All.CPU, Unit: "MB/s", Limit: mb / t.One.CPU, Ratio: t.Ratio.CPU, Of: "one thread"},
		{Name: "tokens", Value: float64(t.Tokens), Unit: "tokens", Ratio: float64(t.Tokens) / float64(t.Bytes), Of: "the texts' bytes"},
	})
}

// readTexts reads the text of every line.
func readTexts(path string) (texts []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		var row struct {
			Text *string `json:"text"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil || row.Text == nil {
			return nil, fmt.Errorf(`%s:%d is no JSON object with a string as its "text"`, path, n)
		}
		texts = append(texts, *row.Text)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("%s: a line has more than %d bytes", path, maxLine)
	}
	if len(texts) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("no text in %s", path)
	}
	return texts, lines.Err()
}
