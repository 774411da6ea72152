package collector

import (
	"fmt"
	"math"
	"testing"

	"actfleet/collector/model"
)

func TestAnswersProposeWhatTheModelSays(t *testing.T) {
	c := &choices{no: []int32{1}, yes: []int32{2, 3}}
	if c.said.summary(nil) != nil {
		t.Error("nobody was asked")
	}
	logit := func(p float64) float32 { return float32(math.Log(p)) }
	a := []float32{logit(.5), logit(.01), logit(.02), logit(.01), logit(.3), logit(.16)}
	b := []float32{logit(.1), logit(.01), logit(.02), logit(.01), logit(.8), logit(.06)}
	ask := func(logits ...[]float32) {
		for _, l := range logits {
			c.odds([]model.Chances{c.next().Of(l)})
		}
	}
	ask(a, b)
	s := c.said.summary(func(id int32) string { return fmt.Sprint("t", id) })
	if s.Prompts != 2 || math.Abs(s.Coverage-.04) > 1e-6 || len(s.Top) != answersTop {
		t.Fatalf("%+v", s)
	}
	if s.Top[0].Token != "t4" || math.Abs(s.Top[0].P-.55) > 1e-6 || s.Top[1].Token != "t0" || math.Abs(s.Top[1].P-.3) > 1e-6 || s.Top[2].Token != "t5" {
		t.Errorf("said %+v", s.Top)
	}
	for range 100 { // later prompts count for the coverage alone
		ask([]float32{0, 100, 0, 0, 0, 0})
	}
	s = c.said.summary(func(id int32) string { return fmt.Sprint("t", id) })
	if s.Prompts != 102 || s.Coverage < .9 || s.Top[0].Token != "t1" || math.Abs(s.Top[0].P-62./64) > 1e-3 {
		t.Errorf("%+v", s)
	}
	if c.next().Top != 0 {
		t.Error("nobody looks at the likeliest tokens any more")
	}
}
