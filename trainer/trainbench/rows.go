package trainbench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"actfleet/shard"
	"actfleet/trainer/export"
	"actfleet/trainer/sae"
)

// Rows is a TopK autoencoder that trains on a file of float32 rows, as far as it is told: one side of
// scripts/bench/sae_peers.py.
type Rows struct {
	File           string // n rows of D values
	D, M, K, Batch int
	LR             float64
}

// Serve reads commands line by line and answers each with a line of JSON:
//
//	step N     trains on the next N batches: {"seconds": of each step, "matmul": of the encoder's product alone}
//	save DIR   writes the autoencoder as npz: {}
func (r Rows) Serve(in io.Reader, out io.Writer) (err error) {
	f, err := os.Open(r.File)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	l, err := r.learner(f)
	if err != nil {
		return err
	}
	lines, answer := bufio.NewScanner(in), json.NewEncoder(out)
	if err := answer.Encode(struct{}{}); err != nil { // ready
		return err
	}
	for lines.Scan() {
		verb, arg, _ := strings.Cut(lines.Text(), " ")
		var told any = struct{}{}
		switch verb {
		case "step":
			n := 0
			if _, err = fmt.Sscan(arg, &n); err == nil {
				told, err = r.steps(l, f, n)
			}
		case "save":
			err = export.Write(arg, export.NPZ, l.Export(), export.Origin{})
		default:
			err = fmt.Errorf("unknown command %q: want step N or save DIR", verb)
		}
		if err != nil {
			return err
		}
		if err := answer.Encode(told); err != nil {
			return err
		}
	}
	return lines.Err()
}

// learner begins with the first rows and goes back to them.
func (r Rows) learner(f io.ReadSeeker) (*sae.Learner, error) {
	l, err := sae.New(r.D, sae.Config{Width: r.M, K: r.K, AuxK: r.D / 2, AuxCoef: 1. / 32, DeadTokens: 10_000_000, Clip: 1, Scale: true, Seed: 1})
	if err != nil {
		return nil, err
	}
	x := make([]float32, r.Batch*r.D)
	if err := readRows(f, x); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return l, l.Init(x, r.Batch)
}

type stepTimes struct {
	Seconds []float64 `json:"seconds"`
	Matmul  float64   `json:"matmul"`
}

func (r Rows) steps(l *sae.Learner, f io.Reader, n int) (t stepTimes, err error) {
	x := make([]float32, r.Batch*r.D)
	for range n {
		if err := readRows(f, x); err != nil {
			return t, err
		}
		began := time.Now()
		if err := l.Micro(x, r.Batch); err != nil {
			return t, err
		}
		if _, err := l.Step(r.LR); err != nil {
			return t, err
		}
		t.Seconds = append(t.Seconds, time.Since(began).Seconds())
	}
	t.Matmul, err = matmul(x, r.Batch, r.D, r.M)
	return t, err
}

func readRows(f io.Reader, x []float32) error {
	raw := make([]byte, 4*len(x))
	if _, err := io.ReadFull(f, raw); err != nil {
		return fmt.Errorf("read rows: %w", err)
	}
	shard.UnpackF32(x, raw)
	return nil
}
