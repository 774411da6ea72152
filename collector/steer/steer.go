// Package steer changes what a model computes while it runs: at a tap, a vector is added to what every position has, or the
// code of a coder's latent is set.
package steer

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"actfleet/collector/model"
	"actfleet/shard/tap"
)

// ErrSpec says that a change is not written as it should be.
var ErrSpec = errors.New("no change of what a model computes")

// Syntax is how changes are written.
const Syntax = "FILE.npy*2@resid_12 (add a vector), CODER:latent=4.0@resid_12 (add a latent's direction) or CODER:latent:=4.0@resid_12 (set its code)"

// Spec is a change as a user writes it.
type Spec struct {
	Source string  // a .npy file with a vector, or the folder of a coder
	Latent int     // of the coder; -1: a vector
	Set    bool    // the latent's code becomes Amount; else so many times its direction are added
	Amount float64 // factor of the vector or the direction, or the code
	Tap    tap.Tap
}

// Parse reads a spec; see Syntax.
func Parse(text string) (Spec, error) {
	s := Spec{Latent: -1, Amount: 1}
	fail := func(why string) (Spec, error) {
		return s, fmt.Errorf("%w: %.200q: %s; want %s", ErrSpec, text, why, Syntax)
	}
	at := strings.LastIndex(text, "@")
	if at < 0 {
		return fail("it does not say where")
	}
	t, variant, ok := tap.ParseColumn(text[at+1:])
	if !ok || variant != "" {
		return fail(fmt.Sprintf("%q is no site and layer", text[at+1:]))
	}
	s.Tap, s.Source = t, text[:at]
	if file, factor, ok := cutLast(s.Source, ".npy*"); ok {
		s.Source = file + ".npy"
		return s, s.amount(text, factor)
	}
	if strings.HasSuffix(s.Source, ".npy") {
		return s, nil
	}
	rest, amount, ok := cutLast(s.Source, "=")
	if !ok {
		return fail("it is neither a .npy file nor a latent with an amount")
	}
	rest, s.Set = strings.CutSuffix(rest, ":")
	dir, latent, ok := cutLast(rest, ":")
	n, err := strconv.ParseInt(latent, 10, 32)
	if !ok || err != nil || n < 0 || dir == "" {
		return fail("it names no latent of a coder's folder")
	}
	s.Source, s.Latent = dir, int(n)
	return s, s.amount(text, amount)
}

// cutLast cuts a text around the last of a separator.
func cutLast(text, separator string) (before, after string, ok bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

func (s *Spec) amount(text, number string) (err error) {
	if s.Amount, err = strconv.ParseFloat(number, 64); err != nil || math.IsNaN(s.Amount) || math.IsInf(s.Amount, 0) {
		return fmt.Errorf("%w: %.200q: %q is no number; want %s", ErrSpec, text, number, Syntax)
	}
	return nil
}

// Coder tells what the codes of a latent are.
type Coder interface {
	// Codes are those of one latent for n vectors x [n, D].
	Codes(x []float32, n, latent int) ([]float32, error)
}

// Change is one that is ready to be made.
type Change struct {
	Tap       tap.Tap
	Direction []float32 // [D]
	Amount    float64   // times the direction is added
	// Coder, if set, makes Amount the code of its Latent: what is added is (Amount − code)·Direction.
	Coder  Coder
	Latent int
}

// Replace makes changes a model's: for model.Everywhere and model.Generation. Changes at one tap are made one after another.
// Widths that are not those of the model's taps are an error.
func Replace(changes []Change, width func(tap.Tap) int) (taps []tap.Tap, replace func(i int, v model.View) error, err error) {
	by := map[tap.Tap][]Change{}
	for _, c := range changes {
		if d := width(c.Tap); d != len(c.Direction) {
			return nil, nil, fmt.Errorf("%s has vectors of %d numbers in this model, what is added has %d", c.Tap.Column(""), d, len(c.Direction))
		}
		if by[c.Tap] == nil {
			taps = append(taps, c.Tap)
		}
		by[c.Tap] = append(by[c.Tap], c)
	}
	return taps, func(i int, v model.View) error {
		for _, c := range by[taps[i]] {
			if err := c.make(v.Data); err != nil {
				return fmt.Errorf("%s: %w", c.Tap.Column(""), err)
			}
		}
		return nil
	}, nil
}

// make makes the change in vectors x [n, D].
func (c Change) make(x []float32) error {
	d := len(c.Direction)
	n := len(x) / d
	codes := make([]float32, n)
	if c.Coder != nil {
		var err error
		if codes, err = c.Coder.Codes(x, n, c.Latent); err != nil {
			return err
		}
	}
	for row := range n {
		by := float32(c.Amount - float64(codes[row]))
		for j, v := range c.Direction {
			x[row*d+j] += by * v
		}
	}
	return nil
}
