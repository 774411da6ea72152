package trainbench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
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
	Dead           int // rows without firing that make a latent dead
	Seed           uint64
}

// Serve reads commands line by line and answers each with a line of JSON:
//
//	step RATE…   a step at each of the learning rates: {"seconds": of each, "matmul": of the encoder's product alone}
//	save DIR     writes the autoencoder as npz: {}
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
			told, err = r.steps(l, f, strings.Fields(arg))
		case "save":
			err = export.Write(arg, export.NPZ, l.Export(), export.Origin{})
		default:
			err = fmt.Errorf("unknown command %q: want step RATE… or save DIR", verb)
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
	l, err := sae.New(r.D, sae.Config{Width: r.M, K: r.K, AuxK: r.D / 2, AuxCoef: 1. / 32, DeadTokens: r.Dead, Clip: 1, Scale: true, Seed: r.Seed})
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

func (r Rows) steps(l *sae.Learner, f io.Reader, rates []string) (t stepTimes, err error) {
	x := make([]float32, r.Batch*r.D)
	for _, text := range rates {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return t, err
		}
		if err := readRows(f, x); err != nil {
			return t, err
		}
		began := time.Now()
		if err := l.Micro(x, r.Batch); err != nil {
			return t, err
		}
		if _, err := l.Step(rate); err != nil {
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
