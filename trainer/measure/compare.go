package measure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// Point is a coder between its rate and its distortion.
type Point struct {
	Dir     string        `json:"coder"`
	Kind    string        `json:"kind"`
	Arch    string        `json:"arch"`
	Ids     int           `json:"ids"`     // of a row; of an autoencoder the latents it lists
	Values  int           `json:"values"`  // that an id can have
	Bits    float64       `json:"bits"`    // of a row, see CodeBits and vq.Dims.Bits
	Carried float64       `json:"carried"` // entropy of a row's ids taken one by one; 0 where it is not measured
	Front   bool          `json:"front"`   // no other coder is both shorter and nearer
	Metrics coder.Metrics `json:"metrics"` // on rows that training never saw
}

// CompareOptions says how coders are compared.
type CompareOptions struct {
	Rows     int // at most so many; 0 is all that are held out
	CoefBits int // of an autoencoder's coefficient, which is rounded to them; see RoundCoefficient
}

// Compare measures coders of one column on the same held-out rows, the shortest first. Those that cannot be measured,
// as a training that has not ended, are named in the error beside the points of the others; coders that are measured on
// other rows are refused altogether.
func Compare(ctx context.Context, dirs []string, runs []stream.Source, o CompareOptions) ([]Point, error) {
	if o.CoefBits < MinCoefBits || o.CoefBits > MaxCoefBits {
		return nil, fmt.Errorf("coefficients of %d bits: want %d to %d", o.CoefBits, MinCoefBits, MaxCoefBits)
	}
	cards, errs, err := readCards(dirs)
	if err != nil {
		return nil, err
	}
	var points []Point
	for i, dir := range dirs {
		if errs[i] != nil {
			continue
		}
		p, err := comparePoint(ctx, dir, cards[i], runs, o)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			errs[i] = fmt.Errorf("%s: %w", dir, err)
			continue
		}
		points = append(points, p)
	}
	rank(points)
	return points, errors.Join(errs...)
}

// readCards reads those of folders, with why one cannot be read, and refuses coders of other rows than the first's.
func readCards(dirs []string) (cards []coder.Card, errs []error, err error) {
	cards, errs = make([]coder.Card, len(dirs)), make([]error, len(dirs))
	first := -1
	for i, dir := range dirs {
		if cards[i], errs[i] = coder.ReadCard(dir); errs[i] != nil {
			continue
		}
		if first < 0 {
			first = i
		}
		if diff := otherRows(cards[i], cards[first]); len(diff) > 0 {
			return nil, nil, fmt.Errorf("%s and %s are not measured on the same rows: %s", dirs[first], dir, strings.Join(diff, "; "))
		}
	}
	return cards, errs, nil
}

// rowKeys are what decides which rows are held out.
var rowKeys = []string{"column", "d_in", "tokens", "where", "holdout", "holdout_by"}

// otherRows lists what makes two coders be measured on other rows.
func otherRows(c, first coder.Card) (diff []string) {
	for _, line := range first.Difference(c) {
		key, _, _ := strings.Cut(line, ":")
		for _, k := range rowKeys {
			if k == key {
				diff = append(diff, strings.Replace(strings.Replace(line, " here", " in the first", 1), " in the folder", " in the second", 1))
			}
		}
	}
	return diff
}

func comparePoint(ctx context.Context, dir string, c coder.Card, runs []stream.Source, o CompareOptions) (p Point, err error) {
	meter, err := openCodeLength(dir, c, o.CoefBits)
	if err != nil {
		return p, err
	}
	cfg, err := recipe.Of(c)
	if err != nil {
		return p, err
	}
	s, err := stream.Open(ctx, runs, evalStream(c, cfg, EvalOptions{All: cfg.Data.Holdout == 0 || !c.SawAny(planIDs(runs)...)}))
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.Width() != c.DIn {
		return p, fmt.Errorf("it was trained on vectors of %d, column %s here has %d", c.DIn, c.Column, s.Width())
	}
	if o.Rows == 0 {
		o.Rows = int(s.Rows())
	}
	e, err := evaluate(ctx, s, meter, runs, EvalOptions{Rows: o.Rows}, cfg.Loop.Micro)
	if err != nil {
		return p, err
	}
	m := e.Metrics
	p = Point{Dir: dir, Kind: c.Kind, Arch: c.Arch, Ids: c.Ids, Values: c.Width, Bits: m["bits"], Metrics: m}
	if c.Kind == coder.SAE {
		p.Ids = c.K
	}
	p.Carried = m["entropy"] * float64(c.Ids)
	return p, nil
}

// openCodeLength is openMeter with bits among its metrics.
func openCodeLength(dir string, c coder.Card, coefBits int) (Meter, error) {
	if err := coder.Trained(dir); err != nil {
		return nil, err
	}
	switch c.Kind {
	case coder.SAE:
		if c.DOut > 0 {
			return nil, errors.New("a transcoder makes other vectors than it reads: it has no distortion")
		}
		m, err := codes.LoadSAE(dir, c)
		return &saeCodeLength{model: m, coefBits: coefBits}, err
	case coder.VQ:
		coder, err := codes.LoadTokenizer(filepath.Join(dir, coder.WeightsFile), c)
		return &vq.Eval{Coder: coder}, err
	}
	return nil, fmt.Errorf("a coder of kind %q has no rate: only sae and vq reconstruct", c.Kind)
}

// rank sorts points by bits, then fvu, and marks those that no other beats.
func rank(points []Point) {
	slices.SortStableFunc(points, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Bits, b.Bits), cmp.Compare(a.Metrics["fvu"], b.Metrics["fvu"]))
	})
	least := math.Inf(1)
	for i, p := range points {
		if v := p.Metrics["fvu"]; v < least {
			points[i].Front, least = true, v
		}
	}
}
